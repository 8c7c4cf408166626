//! Chooses the codec of a column: by its catalog type, and by what the step says of it. A rule that means nothing for
//! the type is refused, so that none is ever ignored. A type without a codec of its own is sent as text, and the server
//! reads it ([`super::stage`]).

use crate::postgres::catalog;
use crate::value::{Codec, Read, Repair, Rules, interval, json, net, number, numeric, temporal, text};
use text::Limit;
use tokio_postgres::types::Type;

/// An interval's modifier holds the allowed fields above and the digits after the second below. With the second among
/// them nothing else is taken from a value (`AdjustIntervalForTypmod` in timestamp.c).
const SECOND: i32 = 1 << 12;

/// The digits after the second of an interval, or -1 where its modifier does not limit them (timestamp.h).
fn digits_of_interval(modifier: i32) -> i32 {
    match modifier & 0xffff {
        0xffff => -1,
        digits => digits,
    }
}

/// The codec of `column` under `rules`.
///
/// # Errors
/// In words: a rule means nothing for the type.
pub fn choose(column: &catalog::Column, rules: &Rules) -> Result<Codec, String> {
    if let Some(labels) = &column.labels {
        return only(column, rules, Takes::default()).map(|()| text::label(labels));
    }
    let modifier = column.modifier;
    let kind = Type::from_oid(column.type_oid);
    // a type of an extension has no fixed number
    if is_citext(&column.base) {
        return only(column, rules, Takes::TEXT).map(|()| text::text(Limit::None, rules));
    }
    // varchar(n), char(n): the modifier is n + 4 (VARHDRSZ)
    let limit = |limited: fn(usize) -> Limit| usize::try_from(modifier - 4).map_or(Limit::None, limited);
    let reads = rules.read.unwrap_or_default();
    let times = &[Read::UnixSeconds, Read::UnixMillis, Read::UnixMicros, Read::Dated][..];
    let spans = &[Read::UnixSeconds, Read::UnixMillis, Read::UnixMicros, Read::Epoch][..];
    let all = &[Read::UnixSeconds, Read::UnixMillis, Read::UnixMicros, Read::Julian][..];
    let takes = match kind {
        Some(Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME) => Takes::TEXT,
        Some(Type::NUMERIC) => Takes { round: modifier >= 4, ..Takes::default() },
        Some(Type::DATE) => Takes { read: all, zone: reads != Read::Text, ..Takes::default() },
        Some(Type::TIMESTAMP) => Takes { read: all, zone: true, round: true, ..Takes::default() },
        Some(Type::TIMESTAMPTZ) => Takes { read: all, zone: true, round: true, ..Takes::default() },
        Some(Type::TIME) => Takes { read: times, round: true, ..Takes::default() },
        Some(Type::INTERVAL) => Takes { read: spans, round: true, ..Takes::default() },
        Some(Type::TIMETZ) => Takes { read: &[], round: true, ..Takes::default() },
        _ => Takes::default(),
    };
    let codec = match kind {
        Some(Type::BOOL) => number::boolean(),
        Some(Type::INT2) => number::integer(2),
        Some(Type::INT4) => number::integer(4),
        Some(Type::INT8) => number::integer(8),
        Some(Type::OID) => number::oid(),
        Some(Type::FLOAT4) => number::single(),
        Some(Type::FLOAT8) => number::double(),
        Some(Type::NUMERIC) => numeric::numeric(modifier, rules),
        Some(Type::TEXT) => text::text(Limit::None, rules),
        Some(Type::VARCHAR) => text::text(limit(Limit::Characters), rules),
        Some(Type::BPCHAR) => text::text(limit(Limit::Padded), rules),
        Some(Type::NAME) => text::text(Limit::Bytes(63), rules),
        Some(Type::BYTEA) => text::bytes(),
        Some(Type::UUID) => text::uuid(),
        Some(Type::JSON) => json::json(),
        Some(Type::JSONB) => json::jsonb(),
        Some(Type::DATE) => temporal::date(rules),
        Some(Type::TIME) => temporal::time(modifier, rules),
        Some(Type::TIMETZ) => temporal::timetz(modifier, rules),
        Some(Type::TIMESTAMP) => temporal::timestamp(modifier, rules),
        Some(Type::TIMESTAMPTZ) => temporal::timestamptz(modifier, rules),
        Some(Type::INTERVAL) if modifier < 0 => interval::interval(-1, rules),
        Some(Type::INTERVAL) if modifier >> 16 & SECOND != 0 => {
            interval::interval(digits_of_interval(modifier), rules)
        }
        Some(Type::INET) => net::inet(),
        Some(Type::CIDR) => net::cidr(),
        Some(Type::MACADDR) => net::mac(6),
        Some(Type::MACADDR8) => net::mac(8),
        _ => return only(column, rules, Takes::TEXT).map(|()| by_input(column, rules)),
    };
    only(column, rules, takes).map(|()| codec)
}

/// Text for the server's own input function, which knows every type.
fn by_input(column: &catalog::Column, rules: &Rules) -> Codec {
    // "char" keeps the first byte and drops the rest without a word
    let limit = if column.type_oid == Type::CHAR.oid() { Limit::Bytes(1) } else { Limit::None };
    let expects = format!("text that PostgreSQL reads as {}", column.type_name);
    Codec { expects, by_input: true, ..text::text(limit, rules) }
}

/// Which rules mean something for a type.
#[derive(Default)]
struct Takes {
    /// Other than text; an empty list for a type of dates and times that is read as text only.
    read: &'static [Read],
    zone: bool,
    round: bool,
    repair: bool,
}

impl Takes {
    const TEXT: Takes = Takes { read: &[], zone: false, round: false, repair: true };
}

fn only(column: &catalog::Column, rules: &Rules, takes: Takes) -> Result<(), String> {
    let mut faults = Vec::new();
    let mut refuse = |rule: &str, refused: bool| {
        if refused {
            faults.push(format!("{rule} means nothing for the target's type {}", column.type_name));
        }
    };
    if let Some(read) = rules.read.filter(|read| *read != Read::Text) {
        refuse(&format!("read = \"{}\"", read.name()), !takes.read.contains(&read));
    }
    refuse("zone", rules.zone.is_some() && !takes.zone);
    refuse("round", rules.round && !takes.round);
    refuse("nul", rules.nul != Repair::Fail && !takes.repair);
    refuse("utf8", rules.utf8 != Repair::Fail && !takes.repair);
    if faults.is_empty() { Ok(()) } else { Err(faults.join("; ")) }
}

/// `citext`, in whatever schema the extension is.
fn is_citext(type_name: &str) -> bool {
    type_name.rsplit('.').next() == Some("citext")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Zone;

    fn choose(kind: &Type, modifier: i32, rules: &Rules) -> Result<(), String> {
        let column = catalog::Column {
            name: "c".into(),
            type_oid: kind.oid(),
            type_name: kind.name().into(),
            modifier,
            ..catalog::Column::default()
        };
        super::choose(&column, rules).map(drop)
    }

    #[test]
    fn a_rule_that_means_nothing_is_refused() {
        let unix = Rules { read: Some(Read::UnixMillis), ..Rules::default() };
        let zone = Rules { zone: Zone::parse("Europe/Madrid").ok(), ..Rules::default() };
        let both = Rules { read: unix.read, ..zone.clone() };
        let round = Rules { round: true, ..Rules::default() };
        let nul = Rules { nul: Repair::Strip, ..Rules::default() };
        for (kind, good, bad) in [
            (Type::TEXT, vec![&nul], vec![&unix, &zone, &round]),
            (Type::TIMESTAMP, vec![&unix, &zone, &both, &round], vec![&nul]),
            (Type::TIMESTAMPTZ, vec![&unix, &zone, &both, &round], vec![&nul]),
            (Type::DATE, vec![&unix, &both], vec![&zone, &round]),
            (Type::TIME, vec![&unix, &round], vec![&zone]),
            (Type::TIMETZ, vec![&round], vec![&unix, &zone]),
            (Type::INTERVAL, vec![&unix, &round], vec![&zone]),
            (Type::INT4, vec![], vec![&unix, &zone, &round, &nul]),
            (Type::JSONB, vec![], vec![&unix, &zone, &round, &nul]),
        ] {
            for rules in good {
                assert_eq!(choose(&kind, -1, rules), Ok(()), "{kind}");
            }
            for rules in bad {
                assert!(choose(&kind, -1, rules).is_err(), "{kind} {rules:?}");
            }
        }
        assert!(choose(&Type::NUMERIC, -1, &round).is_err());
        assert_eq!(choose(&Type::NUMERIC, 4 + (6 << 16) + 2, &round), Ok(()));
    }
}
