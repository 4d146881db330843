//! Logits that the predictor did not make itself: kept in a file, and perhaps damaged there.

use vcp_image::Photo;
use vcp_predict::{Error, Logits, Predictor, PredictorOptions};
use vcp_testing::mini;

/// Damages the logits of an image.
type Damage = fn(&mut Logits);

#[test]
fn logits_that_do_not_fit_are_refused() {
    let options = PredictorOptions {
        threads: std::num::NonZero::new(2),
        ..PredictorOptions::default()
    };
    let predictor = Predictor::new(&mini().weights(), &options).expect("the model loads");
    let photo = Photo::from_rgb(9, 7, (0..9 * 7 * 3).collect()).expect("a photo");
    let logits = predictor.logits(&[predictor.prepare(&photo)]);
    let logits = logits.expect("logits").pop().expect("one image");
    let patches = logits.branch1[0].len();
    assert!(predictor.finish(&logits).is_ok());

    let damages: [(Damage, usize); 5] = [
        (|logits| logits.branch1.clear(), 0),
        (|logits| logits.branch2.clear(), 0),
        (|logits| logits.branch1[0].clear(), 0),
        (|logits| logits.branch2[0].truncate(1), 1),
        (|logits| logits.branch2[0].push(0.0), patches + 1),
    ];
    for (at, (damage, length)) in damages.into_iter().enumerate() {
        let mut damaged = logits.clone();
        damage(&mut damaged);
        match predictor.finish(&damaged) {
            Err(Error::WrongLogits { found, expected }) => {
                assert_eq!((found, expected), (length, patches), "damage {at}");
            }
            other => panic!(
                "damage {at}: {:?}",
                other.map(|prediction| prediction.score)
            ),
        }
    }
}
