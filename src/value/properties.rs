//! What holds for every codec and any cell: whatever is taken comes back as a cell that is taken exactly and means the
//! same bytes, and numbers keep their value to the last digit.

use super::decimal::Decimal;
use super::text::Limit;
use super::*;
use proptest::prelude::*;

pub(super) fn codecs() -> Vec<(&'static str, Codec)> {
    let none = Rules::default();
    let read = |read| Rules { read: Some(read), ..Rules::default() };
    let madrid = Rules { zone: Zone::parse("Europe/Madrid").ok(), ..Rules::default() };
    let seconds = Rules { read: Some(Read::UnixSeconds), ..madrid.clone() };
    vec![
        ("boolean", number::boolean()),
        ("smallint", number::integer(2)),
        ("int", number::integer(4)),
        ("bigint", number::integer(8)),
        ("oid", number::oid()),
        ("real", number::single()),
        ("double", number::double()),
        ("numeric", numeric::numeric(-1, &none)),
        ("numeric(9,3)", numeric::numeric(4 + (9 << 16) + 3, &none)),
        ("text", text::text(Limit::None, &none)),
        ("varchar", text::text(Limit::Characters(20), &none)),
        ("char", text::text(Limit::Padded(20), &none)),
        ("name", text::text(Limit::Bytes(63), &none)),
        ("bytea", text::bytes()),
        ("uuid", text::uuid()),
        ("json", json::json()),
        ("jsonb", json::jsonb()),
        ("inet", net::inet()),
        ("cidr", net::cidr()),
        ("macaddr", net::mac(6)),
        ("date", temporal::date(&none)),
        ("date unix_s", temporal::date(&read(Read::UnixSeconds))),
        ("time", temporal::time(-1, &none)),
        ("time unix_ms", temporal::time(-1, &read(Read::UnixMillis))),
        ("time 2000-01-01", temporal::time(-1, &read(Read::Dated))),
        ("timetz", temporal::timetz(-1, &none)),
        ("timestamp", temporal::timestamp(-1, &none)),
        ("timestamp(3)", temporal::timestamp(3, &none)),
        ("timestamp zone", temporal::timestamp(-1, &madrid)),
        ("timestamp unix_s zone", temporal::timestamp(-1, &seconds)),
        ("timestamp unix_s", temporal::timestamp(-1, &read(Read::UnixSeconds))),
        ("timestamp unix_ms", temporal::timestamp(-1, &read(Read::UnixMillis))),
        ("timestamp unix_us", temporal::timestamp(-1, &read(Read::UnixMicros))),
        ("timestamp julian", temporal::timestamp(-1, &read(Read::Julian))),
        ("timestamptz", temporal::timestamptz(-1, &none)),
        ("timestamptz unix_ms", temporal::timestamptz(-1, &read(Read::UnixMillis))),
        ("timestamptz zone", temporal::timestamptz(-1, &madrid)),
        ("interval", interval::interval(-1, &none)),
        ("interval unix_us", interval::interval(-1, &read(Read::UnixMicros))),
    ]
}

const DATE: &str = "[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])";
const CLOCK: &str = "([01][0-9]|2[0-4]):[0-6][0-9](:[0-5][0-9]([.,][0-9]{1,10})?)?";
const ZONE: &str =
    "( ?(Z|[+-](0[0-9]|1[0-7])(:?[0-5][0-9])?)( UTC| [A-Z]{2,4}| -03)?( m=[+-][0-9.]{1,3})?| UTC)?";

/// Cells of all classes, most of them near something that a type means.
pub(super) fn cells() -> impl Strategy<Value = Cell<'static>> {
    let text = |pattern: &str| {
        proptest::string::string_regex(pattern)
            .expect(pattern)
            .prop_map(|text| Cell::Text(text.into_bytes().into()))
    };
    let day = (-3_000_000_i64..6_000_000).prop_map(|days| Cell::Integer(days * 86_400));
    #[expect(clippy::cast_precision_loss, reason = "any number will do")]
    let decimal = (any::<i64>(), 0..9)
        .prop_map(|(digits, scale)| Cell::Real((digits >> 8) as f64 / 10_f64.powi(scale)));
    #[expect(clippy::cast_precision_loss, reason = "any number will do")]
    let julian = (0..464_269_060_799_999_i64).prop_map(|millis| Cell::Real(millis as f64 / 86_400_000.0));
    prop_oneof![
        any::<i64>().prop_map(Cell::Integer),
        (-3..300_i64).prop_map(Cell::Integer),
        (-99_999_999_999..999_999_999_999_i64).prop_map(Cell::Integer),
        day,
        any::<f64>().prop_filter("SQLite stores NaN as NULL", |real| !real.is_nan()).prop_map(Cell::Real),
        any::<f32>().prop_filter("so", |real| !real.is_nan()).prop_map(|real| Cell::Real(real.into())),
        decimal,
        julian,
        text("[+-]?[0-9]{0,25}(\\.[0-9]{0,12})?([eE][+-]?[0-9]{1,3})?"),
        text(&format!("{DATE}([ T]{CLOCK}{ZONE})?")),
        text(&format!("{CLOCK}{ZONE}")),
        text(
            "-?P([0-9]{1,3}Y)?([0-9]{1,3}M)?(-?[0-9]{1,3}D)?(T(-?[0-9]{1,3}H)?([0-9]{1,5}(\\.[0-9]{1,7})?S)?)?"
        ),
        text("([1-9] years? )?(-?[0-9]{1,2} days?,? )?[+-]?[0-9]{1,3}:[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,7})?"),
        text("(true|FALSE|yes|n|off|on)"),
        text("[0-9]{1,3}\\.[0-9]{1,2}\\.(0|[0-9]{1,3})\\.(0|[0-9]{1,3})(/[0-9]{1,2})?"),
        text("([0-9a-f]{1,4}:){2,7}:(/[0-9]{1,3})?"),
        text("([0-9a-fA-F]{2}:){5}[0-9a-f]{2}"),
        text("\\{?[0-9a-f]{8}-?([0-9a-fA-F]{4}-?){3}[0-9a-f]{12}\\}?"),
        text("\\PC{0,24} {0,3}"),
        json::tests::documents().prop_map(|text| Cell::Text(text.into_bytes().into())),
        proptest::collection::vec(any::<u8>(), 0..20).prop_map(|bytes| Cell::Blob(bytes.into())),
        proptest::collection::vec(any::<u8>(), 0..20).prop_map(|bytes| Cell::Text(bytes.into())),
        any::<[u8; 16]>().prop_map(|bytes| Cell::Blob(bytes.to_vec().into())),
        any::<[u8; 6]>().prop_map(|bytes| Cell::Blob(bytes.to_vec().into())),
    ]
}

fn number_of(value: ValueRef<'_>) -> Option<Decimal> {
    Decimal::of(value).ok().map(Decimal::without_trailing_zeros)
}

fn keeps(name: &str, codec: &Codec, cell: &Cell<'_>) -> Result<bool, TestCaseError> {
    // what is appended goes behind what is there
    let mut bytes = vec![7];
    let Ok(fit) = (codec.encode)(&cell.value(), &mut bytes) else { return Ok(false) };
    let sent = &bytes[1..];
    let back =
        (codec.decode)(sent).ok_or_else(|| TestCaseError::fail(format!("{name}: {cell:?} is lost")))?;
    prop_assert_eq!(
        fit == Fit::Exact,
        back.is(cell.value()),
        "{}: {:?} comes back as {:?}",
        name,
        cell,
        back
    );
    let mut again = Vec::new();
    let exact = (codec.encode)(&back.value(), &mut again);
    prop_assert_eq!(exact, Ok(Fit::Exact), "{}: {:?} comes back as {:?}", name, cell, back);
    // the zeros of a text '1.50' are kept by numeric, and by no number of SQLite
    if name != "numeric" {
        prop_assert_eq!(&again[..], sent, "{}: {:?} comes back as {:?}", name, cell, back);
    }
    if ["smallint", "int", "bigint", "oid", "real", "double", "numeric", "numeric(9,3)"].contains(&name) {
        let same = match (cell, &back) {
            // a real beyond 2^53 is a whole number that its shortest digits need not spell
            #[expect(clippy::cast_precision_loss, reason = "the real has no more digits")]
            (Cell::Real(real), Cell::Integer(number)) => *real == *number as f64,
            #[expect(clippy::cast_possible_truncation, reason = "within i64")]
            (Cell::Integer(number), Cell::Real(real)) => *real as i128 == i128::from(*number),
            _ => number_of(cell.value()) == number_of(back.value()),
        };
        prop_assert!(same, "{}: {:?} comes back as {:?}", name, cell, back);
    }
    Ok(true)
}

#[test]
fn what_is_taken_comes_back() {
    let codecs = codecs();
    let taken = std::cell::RefCell::new(vec![0_u32; codecs.len()]);
    let config = ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() };
    let result = proptest::test_runner::TestRunner::new(config).run(&cells(), |cell| {
        for ((name, codec), taken) in codecs.iter().zip(taken.borrow_mut().iter_mut()) {
            *taken += u32::from(keeps(name, codec, &cell)?);
        }
        Ok(())
    });
    if let Err(failure) = result {
        panic!("{failure}");
    }
    for ((name, _), taken) in codecs.iter().zip(taken.borrow().iter()) {
        assert!(*taken > 0, "{name} took nothing: no cell is near what it means");
    }
}

#[test]
fn any_bytes_decode_or_do_not() {
    let codecs = codecs();
    let config = ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() };
    let bytes = proptest::collection::vec(any::<u8>(), 0..24);
    let result = proptest::test_runner::TestRunner::new(config).run(&bytes, |bytes| {
        for (_, codec) in &codecs {
            // no panic is all that is asked
            let _ = (codec.decode)(&bytes);
        }
        Ok(())
    });
    if let Err(failure) = result {
        panic!("{failure}");
    }
}
