//! Days and times as RFC 3339 writes them: which texts are some, and some to show.

/// The day so many days after 1970-01-01 (after Howard Hinnant's `civil_from_days`).
pub(super) fn date(days: u32) -> String {
    let shifted = i64::from(days) + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

pub(super) fn is_date(text: &str) -> bool {
    let Some([year, month, day]) = numbers(text, '-') else { return false };
    let days = match month {
        4 | 6 | 9 | 11 => 30,
        2 if (year % 4 == 0 && year % 100 != 0) || year % 400 == 0 => 29,
        2 => 28,
        1..=12 => 31,
        _ => return false,
    };
    text.len() == 10 && (1..=days).contains(&day)
}

/// `12:30:00`, with or without parts of a second and an offset.
pub(super) fn is_time(text: &str) -> bool {
    let Some((clock, rest)) = text.split_at_checked(8) else { return false };
    let is_clock = numbers(clock, ':').is_some_and(|[hour, minute, second]| hour < 24 && minute < 60 && second <= 60);
    let rest = match rest.strip_prefix('.') {
        Some(fraction) => {
            let rest = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
            if rest.len() == fraction.len() {
                return false;
            }
            rest
        }
        None => rest,
    };
    let is_offset = match rest.strip_prefix(['+', '-']) {
        Some(offset) => {
            offset.len() == 5 && numbers(&format!("{offset}:00"), ':').is_some_and(|[h, m, _]| h < 24 && m < 60)
        }
        None => matches!(rest, "" | "Z" | "z"),
    };
    is_clock && is_offset
}

/// A date, `T`, a time and an offset.
pub(super) fn is_date_time(text: &str) -> bool {
    let Some((date, time)) = text.split_once(['T', 't', ' ']) else { return false };
    let has_offset = time.ends_with(['Z', 'z']) || time.get(8..).is_some_and(|rest| rest.contains(['+', '-']));
    is_date(date) && is_time(time) && has_offset
}

fn numbers(text: &str, separator: char) -> Option<[u32; 3]> {
    let parts: Vec<&str> = text.split(separator).collect();
    let [a, b, c] = parts.as_slice() else { return None };
    let number = |text: &str| {
        let is_plain = text.len() >= 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|_| is_plain)
    };
    Some([number(a)?, number(b)?, number(c)?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_calendar() {
        for (days, text) in [(0, "1970-01-01"), (11_016, "2000-02-29"), (20_786, "2026-11-29"), (20_788, "2026-12-01")]
        {
            assert_eq!(date(days), text);
            assert!(is_date(text));
        }
        for bad in ["2026-02-29", "2026-13-01", "2026-1-1", "26-01-01", "2026-01-32", "tomorrow", ""] {
            assert!(!is_date(bad), "{bad}");
        }
    }

    #[test]
    fn times_have_offsets_where_they_need_them() {
        for good in ["12:30:00Z", "12:30:00.125+02:00", "23:59:60Z", "00:00:00"] {
            assert!(is_time(good), "{good}");
        }
        for bad in ["24:00:00Z", "12:30Z", "12:30:00.Z", "12:30:00+2", "noon", "12:30:0é"] {
            assert!(!is_time(bad), "{bad}");
        }
        assert!(is_date_time("2026-11-29T12:30:00Z") && is_date_time("2026-11-29T12:30:00-05:00"));
        assert!(!is_date_time("2026-11-29T12:30:00") && !is_date_time("2026-11-29"));
    }
}
