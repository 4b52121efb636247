//! Willow'25 timestamps from and to Unix time.
//!
//! The spec counts microseconds of TAI since J2000 (noon of 2000-01-01). willow25 0.7.9, through which all data comes that
//! exists, counts otherwise in its `Timestamp::now`: its reference epoch is a day late, and it takes the difference of two
//! UTC clocks, so the leap seconds since are missing. What matters for "the newest entry wins" and for refusing entries
//! from the future is that all nodes agree, so this agrees with willow25: by the letter of the spec, timestamps would be a
//! day and five seconds ahead of everybody's. Both are linear in Unix time, so nothing here needs a table of leap seconds.
//!
//! Must not know what time it is.

use willow25::prelude::Timestamp;

const MICROS: u64 = 1_000_000;

/// Where willow25's timestamps start, in Unix seconds: noon of 2000-01-02 in TAI, which was 32 s ahead of UTC then.
const EPOCH_UNIX_SECONDS: u64 = 946_814_400 - 32;

/// The Willow timestamp of a moment given in microseconds since the Unix epoch. Saturates: before the year 2000 it is 0.
#[must_use]
pub fn tai_from_unix_micros(micros: u64) -> Timestamp {
    Timestamp::from(micros.saturating_sub(EPOCH_UNIX_SECONDS * MICROS))
}

/// The moment of a Willow timestamp in microseconds since the Unix epoch. Saturates at the end of what 64 bits hold.
#[must_use]
pub fn unix_micros_from_tai(timestamp: Timestamp) -> u64 {
    u64::from(timestamp).saturating_add(EPOCH_UNIX_SECONDS * MICROS)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;
    use proptest::prelude::*;
    use willow25::prelude::Epoch;

    fn by_willow25(unix_seconds: u32) -> Timestamp {
        Timestamp::try_from(Epoch::from_unix_seconds(f64::from(unix_seconds))).unwrap()
    }

    #[test]
    fn a_moment_by_hand() {
        // 2024-01-01T00:00:00Z is Unix 1,704,067,200. Noon of 2000-01-02 is Unix 946,814,400, and that much in TAI is 32 s
        // earlier: 946,814,368. The difference is 757,252,832 s.
        assert_eq!(u64::from(tai_from_unix_micros(1_704_067_200_000_000)), 757_252_832_000_000);
        assert_eq!(by_willow25(1_704_067_200), 757_252_832_000_000.into());
        assert_eq!(unix_micros_from_tai(757_252_832_000_000.into()), 1_704_067_200_000_000);
    }

    #[test]
    fn ends_of_time_saturate() {
        assert_eq!(tai_from_unix_micros(0), 0.into());
        assert_eq!(unix_micros_from_tai(u64::MAX.into()), u64::MAX);
        assert_eq!(u64::from(tai_from_unix_micros(u64::MAX)), u64::MAX - EPOCH_UNIX_SECONDS * MICROS);
    }

    #[test]
    #[allow(clippy::disallowed_types)] // The one thing this test is about is agreement with willow25's clock.
    fn now_is_what_willow25_says() {
        let unix = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let ours = u64::from(tai_from_unix_micros(u64::try_from(unix.as_micros()).unwrap()));
        let theirs = u64::from(Timestamp::now().unwrap());
        assert!(theirs.abs_diff(ours) < MICROS, "{ours} {theirs}");
    }

    proptest! {
        #[test]
        fn it_agrees_with_willow25_and_back(seconds in 946_814_368_u32.., micros in 0_u64..MICROS) {
            prop_assert_eq!(tai_from_unix_micros(u64::from(seconds) * MICROS), by_willow25(seconds));
            let unix = u64::from(seconds) * MICROS + micros;
            prop_assert_eq!(unix_micros_from_tai(tai_from_unix_micros(unix)), unix);
        }
    }
}
