//! Any cell under any rules into any type: what is taken comes back as a cell that is taken exactly, as the same bytes;
//! and any bytes of the server decode or do not, without a panic.

#![no_main]

use libfuzzer_sys::fuzz_target;
use outgrow::copy::codec;
use outgrow::postgres::catalog::Column;
use outgrow::value::{Cell, Fit, Read, Repair, Rules, Zone};

/// (PostgreSQL: `pg_type.dat`.)
const NUMERIC: u32 = 1700;

/// All types with a codec, by number and modifier.
const TYPES: [(u32, i32); 33] = [
    (16, -1),
    (21, -1),
    (23, -1),
    (20, -1),
    (26, -1),
    (700, -1),
    (701, -1),
    (NUMERIC, -1),
    (NUMERIC, 4 + (9 << 16) + 3),
    (NUMERIC, 4 + (3 << 16) + 0x7fe),
    (25, -1),
    (1043, 4 + 20),
    (1042, 4 + 20),
    (19, -1),
    (17, -1),
    (2950, -1),
    (114, -1),
    (3802, -1),
    (1082, -1),
    (1083, -1),
    (1083, 3),
    (1266, -1),
    (1266, 0),
    (1114, -1),
    (1114, 3),
    (1184, -1),
    (1184, 3),
    (1186, -1),
    (1186, (0x7fff << 16) | 2),
    (869, -1),
    (650, -1),
    (829, -1),
    (774, -1),
];

fuzz_target!(|input: (u8, u8, u8, &[u8])| {
    let (of_type, of_rules, class, bytes) = input;
    let (type_oid, modifier) = TYPES[usize::from(of_type) % TYPES.len()];
    let column = Column { type_oid, modifier, type_name: "the type".into(), ..Column::default() };
    let Ok(codec) = codec::choose(&column, &rules(of_rules)) else { return };
    let Some(cell) = cell(class, bytes) else { return };
    let _ = (codec.decode)(bytes);
    // what is appended goes behind what is there
    let mut out = vec![7];
    let Ok(fit) = (codec.encode)(&cell.value(), &mut out) else { return };
    let sent = &out[1..];
    let back = (codec.decode)(sent).expect("what is taken comes back");
    if fit != Fit::Repaired {
        assert_eq!(fit == Fit::Exact, back.is(cell.value()), "{cell:?} comes back as {back:?}");
    }
    let mut again = Vec::new();
    let exact = (codec.encode)(&back.value(), &mut again);
    assert_eq!(exact, Ok(Fit::Exact), "{cell:?} comes back as {back:?}");
    // the zeros of a text '1.50' are kept by numeric, and by no number of SQLite
    if type_oid != NUMERIC {
        assert_eq!(again, sent, "{cell:?} comes back as {back:?}");
    }
});

/// The cell of a storage class; a NaN is NULL in SQLite.
fn cell(class: u8, bytes: &[u8]) -> Option<Cell<'_>> {
    let number = || bytes.first_chunk::<8>();
    match class % 4 {
        0 => number().map(|bytes| Cell::Integer(i64::from_le_bytes(*bytes))),
        1 => number().map(|bytes| Cell::Real(f64::from_le_bytes(*bytes))).filter(|cell| *cell == *cell),
        2 => Some(Cell::Text(bytes.into())),
        _ => Some(Cell::Blob(bytes.into())),
    }
}

fn rules(bits: u8) -> Rules {
    let repair = match bits >> 6 {
        0 | 1 => Repair::Fail,
        2 => Repair::Strip,
        _ => Repair::Replace,
    };
    Rules {
        read: [
            None,
            Some(Read::Text),
            Some(Read::UnixSeconds),
            Some(Read::UnixMillis),
            Some(Read::UnixMicros),
            Some(Read::Julian),
        ]
        .into_iter()
        .nth(usize::from(bits & 7))
        .flatten(),
        zone: [None, Zone::parse("UTC").ok(), Zone::parse("Europe/Madrid").ok(), Zone::parse("+05:30").ok()]
            .into_iter()
            .nth(usize::from(bits >> 3 & 3))
            .flatten(),
        round: bits >> 5 & 1 == 1,
        nul: repair,
        utf8: repair,
    }
}
