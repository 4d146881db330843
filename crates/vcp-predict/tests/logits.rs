//! Logits that the predictor did not make itself: kept in a file, and perhaps damaged there.

use vcp_image::Photo;
use vcp_predict::{Error, Logits, Predictor, PredictorOptions};
use vcp_testing::mini;

fn predictor() -> Predictor {
    let options = PredictorOptions {
        threads: std::num::NonZero::new(2),
        ..PredictorOptions::default()
    };
    Predictor::new(&mini().weights(), &options).expect("the model loads")
}

fn logits(predictor: &Predictor) -> Logits {
    let photo = Photo::from_rgb(9, 7, (0..9 * 7 * 3).collect()).expect("a photo");
    let logits = predictor.logits(&[predictor.prepare(&photo)]);
    logits.expect("logits").pop().expect("one image")
}

#[test]
fn logits_that_were_kept_give_the_same_maps() {
    let predictor = predictor();
    let logits = logits(&predictor);
    let kept = Logits::new(logits.taps(), logits.values().to_vec()).expect("the same taps");
    let prediction = predictor.finish(&kept).expect("a prediction");
    assert!(prediction == predictor.finish(&logits).expect("a prediction"));
    assert!(prediction.blended == predictor.blended_map(&kept).expect("a map"));
}

#[test]
fn logits_that_do_not_fit_are_refused() {
    let predictor = predictor();
    let logits = logits(&predictor);
    let patches = logits.patches();
    for found in [1, patches - 1, patches + 1] {
        let other = Logits::new([2, 2], vec![0.0; 4 * found]).expect("four taps");
        for outcome in [
            predictor.finish(&other).map(|_| ()),
            predictor.blended_map(&other).map(|_| ()),
        ] {
            assert!(
                matches!(
                    outcome,
                    Err(Error::WrongLogits { found: said, expected }) if (said, expected) == (found, patches)
                ),
                "{found} patches: {outcome:?}"
            );
        }
    }
    let mut values = logits.values().to_vec();
    values[0] = f32::NAN;
    let damaged = Logits::new(logits.taps(), values).expect("the same taps");
    assert!(matches!(predictor.finish(&damaged), Err(Error::NotFinite)));
    assert!(matches!(
        predictor.blended_map(&damaged),
        Err(Error::NotFinite)
    ));
}
