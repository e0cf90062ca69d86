//! Dates, computed and not asked for: the clock is the caller's.

use crate::number::push_padded;

const DAY_MS: u64 = 86_400_000;

/// Days from 0000-03-01 to 1970-01-01 in the proleptic Gregorian calendar.
const EPOCH_DAYS: u64 = 719_468;

/// 400 years, after which the calendar repeats.
const ERA_DAYS: u64 = 146_097;

/// The last millisecond of the year 9999, the last that RFC 3339 can write.
const RFC3339_MS_MAX: u64 = 253_402_300_799_999;

/// Appends `unix_ms` (milliseconds since 1970-01-01T00:00:00Z, leap seconds not counted) as RFC 3339 in UTC with
/// milliseconds: `2024-02-29T23:59:59.123Z`, always 24 bytes. Times after the year 9999 are written as its last
/// millisecond.
pub fn push_rfc3339(out: &mut Vec<u8>, unix_ms: u64) {
    let unix_ms = unix_ms.min(RFC3339_MS_MAX);
    let (year, month, day) = date(unix_ms / DAY_MS);
    let ms = unix_ms % DAY_MS;
    for (value, width, end) in [
        (year, 4, b'-'),
        (month, 2, b'-'),
        (day, 2, b'T'),
        (ms / 3_600_000, 2, b':'),
        (ms / 60_000 % 60, 2, b':'),
        (ms / 1_000 % 60, 2, b'.'),
        (ms % 1_000, 3, b'Z'),
    ] {
        push_padded(out, value, width);
        out.push(end);
    }
}

/// Year, month and day of a day counted from 1970-01-01. Years are taken to begin in March, so that the leap day is the
/// last of its year and every month before it has its length from one straight line.
fn date(unix_day: u64) -> (u64, u64, u64) {
    let days = unix_day + EPOCH_DAYS;
    let (era, day_of_era) = (days / ERA_DAYS, days % ERA_DAYS);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day)
}
