//! Dates for people.

use towpath_telemetry::time::push_rfc3339;

/// `2024-02-29 12:00Z`: to the minute. `seconds` are counted from 1970-01-01 UTC.
pub(crate) fn to_the_minute(seconds: u64) -> String {
    let mut text = Vec::new();
    push_rfc3339(&mut text, seconds.saturating_mul(1000));
    let text = String::from_utf8_lossy(&text);
    text.get(..16).map_or_else(String::new, |minute| minute.replace('T', " ") + "Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_to_the_minute() {
        assert_eq!(to_the_minute(1_709_208_059), "2024-02-29 12:00Z");
        assert_eq!(to_the_minute(u64::MAX), "9999-12-31 23:59Z");
    }
}
