//! Numbers as text.

use crate::Format;

/// What stands where there is no number.
pub(crate) const NONE: &str = "–";

/// The number in its format, or [`NONE`] if it is not finite.
pub(crate) fn number(value: f64, format: Format) -> String {
    if !value.is_finite() {
        return NONE.to_owned();
    }
    match format {
        Format::Percent => format!("{:.2}", value * 100.0),
        Format::Count => grouped(value),
        Format::Number => significant(value),
    }
}

/// Four significant digits.
fn significant(value: f64) -> String {
    let size = value.abs();
    if value == 0.0 {
        "0".to_owned()
    } else if (1e-3..1e5).contains(&size) {
        let decimals = (3 - size.log10().floor() as i32).clamp(0, 6);
        format!("{value:.*}", decimals as usize)
    } else {
        format!("{value:.3e}")
    }
}

/// Whole, with commas between thousands.
fn grouped(value: f64) -> String {
    let digits = format!("{value:.0}");
    let (sign, digits) = digits
        .strip_prefix('-')
        .map_or(("", digits.as_str()), |digits| ("−", digits));
    let mut text = sign.to_owned();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_their_format_says() {
        let cases = [
            (0.957_84, Format::Percent, "95.78"),
            (1.0, Format::Percent, "100.00"),
            (0.0, Format::Count, "0"),
            (999.0, Format::Count, "999"),
            (1725.0, Format::Count, "1,725"),
            (-1_234_567.0, Format::Count, "−1,234,567"),
            (0.421_397, Format::Number, "0.4214"),
            (12.5, Format::Number, "12.50"),
            (4213.97, Format::Number, "4214"),
            (99_999.9, Format::Number, "100000"),
            (0.001_234_56, Format::Number, "0.001235"),
            (0.000_012_345_6, Format::Number, "1.235e-5"),
            (-2.5e9, Format::Number, "-2.500e9"),
            (0.0, Format::Number, "0"),
            (f64::NAN, Format::Percent, "–"),
            (f64::INFINITY, Format::Count, "–"),
        ];
        for (value, format, expected) in cases {
            assert_eq!(number(value, format), expected, "{value} as {format:?}");
        }
    }
}
