//! Time zones: a fixed offset, or a name of the IANA database, whose rules are part of the program.
//!
//! All moments are microseconds since 2000-01-01 00:00, either of Greenwich (an instant) or of the zone's clock.

use super::Misfit;
use jiff::Timestamp;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone, TimeZoneDatabase};

/// 2000-01-01 in seconds since 1970-01-01.
pub(super) const UNIX_TO_2000: i64 = 946_684_800;

const SECOND: i64 = 1_000_000;

/// The zone that a step names for a column.
#[derive(Debug, Clone, PartialEq)]
pub enum Zone {
    /// Seconds east of Greenwich.
    Fixed(i64),
    /// A zone whose offset changes.
    Named(TimeZone),
}

impl Zone {
    /// `UTC`, `Z`, an offset like `+02:00`, or a name of the IANA database like `Europe/Madrid`.
    ///
    /// # Errors
    /// In words: it is none of these.
    pub fn parse(name: &str) -> Result<Zone, String> {
        let zone = if name.eq_ignore_ascii_case("UTC") || name == "Z" {
            Some(Zone::Fixed(0))
        } else if name.starts_with(['+', '-']) {
            super::moment::offset(name.as_bytes()).map(Zone::Fixed)
        } else {
            TimeZoneDatabase::bundled().get(name).ok().map(Zone::Named)
        };
        zone.ok_or_else(|| format!("zone = \"{name}\" is no zone such as UTC, +02:00, Europe/Madrid"))
    }

    /// What the zone's clock shows at `instant`. A time that it shows twice would not say which: that is a misfit.
    pub(super) fn wall(&self, instant: i64) -> Result<i64, Misfit> {
        match self {
            Zone::Fixed(east) => Ok(instant + east * SECOND),
            Zone::Named(zone) => {
                let offset = zone.to_offset(timestamp(instant)?);
                let wall = instant + i64::from(offset.seconds()) * SECOND;
                self.instant(wall).map(|_| wall)
            }
        }
    }

    /// When the zone's clock shows `wall`, if that is once.
    pub(super) fn instant(&self, wall: i64) -> Result<i64, Misfit> {
        match self {
            Zone::Fixed(east) => Ok(wall - east * SECOND),
            Zone::Named(zone) => {
                let shown = Offset::UTC.to_datetime(timestamp(wall)?);
                match zone.to_ambiguous_timestamp(shown).offset() {
                    AmbiguousOffset::Unambiguous { offset } => {
                        Ok(wall - i64::from(offset.seconds()) * SECOND)
                    }
                    AmbiguousOffset::Gap { .. } => Err(Misfit("a time that the zone's clock skips")),
                    AmbiguousOffset::Fold { .. } => Err(Misfit("a time that the zone's clock shows twice")),
                }
            }
        }
    }

    /// Seconds east of Greenwich at `instant`.
    pub(super) fn east(&self, instant: i64) -> Option<i64> {
        match self {
            Zone::Fixed(east) => Some(*east),
            Zone::Named(zone) => Some(i64::from(zone.to_offset(timestamp(instant).ok()?).seconds())),
        }
    }
}

fn timestamp(micros: i64) -> Result<Timestamp, Misfit> {
    let unix = micros.checked_add(UNIX_TO_2000 * SECOND);
    let unix = unix.and_then(|unix| Timestamp::from_microsecond(unix).ok());
    unix.ok_or(Misfit("a time beyond what the rules of time zones cover"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for good in ["UTC", "utc", "Z", "+02:00", "-0330", "Europe/Madrid", "America/New_York"] {
            assert!(Zone::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "Mars/Base", "+16:00", "+2", "02:00"] {
            assert!(Zone::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn gaps_and_folds_are_misfits() {
        let madrid = Zone::parse("Europe/Madrid").expect("a zone");
        let wall = |text: &str| super::super::moment::wall(text).expect(text);
        let summer = wall("2024-07-01 12:00:00");
        assert_eq!(madrid.instant(summer), Ok(summer - 2 * 3600 * SECOND));
        assert_eq!(madrid.wall(summer - 2 * 3600 * SECOND), Ok(summer));
        assert!(madrid.instant(wall("2024-03-31 02:30:00")).is_err());
        assert!(madrid.instant(wall("2024-10-27 02:30:00")).is_err());
        assert!(madrid.wall(wall("2024-10-27 00:30:00")).is_err());
        assert_eq!(madrid.east(wall("2024-10-27 00:30:00")), Some(7200));
    }
}
