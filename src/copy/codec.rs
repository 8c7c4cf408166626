//! Which codec a column of the target takes: the only place where a catalog type is matched.

use crate::migration::step::ColumnRules;
use crate::postgres::catalog;
use crate::value::{Codec, json, number, temporal, text};
use tokio_postgres::types::Type;

/// The codec of a column under the step's rules, or why there is none.
pub(super) fn codec(column: &catalog::Column, _rule: &ColumnRules) -> Result<Codec, String> {
    of_type(column).ok_or_else(|| format!("the target's type {} is not supported yet", column.type_name))
}

/// The codec of a column's type, if there is one.
fn of_type(column: &catalog::Column) -> Option<Codec> {
    if let Some(labels) = &column.labels {
        return Some(text::label(labels));
    }
    // varchar(n): the modifier is n + 4 (VARHDRSZ)
    let limit = || usize::try_from(column.modifier - 4).ok();
    Some(match Type::from_oid(column.type_oid)? {
        Type::BOOL => number::boolean(),
        Type::INT2 => number::integer(2),
        Type::INT4 => number::integer(4),
        Type::INT8 => number::integer(8),
        Type::FLOAT4 => number::single(),
        Type::FLOAT8 => number::double(),
        Type::NUMERIC => number::numeric(column.modifier),
        Type::TEXT => text::text(None),
        Type::VARCHAR => text::text(limit()),
        Type::BYTEA => text::bytes(),
        Type::UUID => text::uuid(),
        Type::JSON => json::json(),
        Type::JSONB => json::jsonb(),
        Type::DATE => temporal::date(),
        Type::TIMESTAMP => temporal::timestamp(column.modifier),
        Type::TIMESTAMPTZ => temporal::timestamptz(column.modifier),
        _ => return None,
    })
}
