//! What `outgrow export` wrote, as text: a line for each table, then what has no place, then the answer.

use super::Report;
use super::human::{align_right, columns, duration, lines, rows, size};
use crate::copy::back::WrittenTable;
use crate::error::{ExitCode, counted};
use crate::export::Exported;

impl Report for Exported {
    fn text(&self) -> String {
        let mut table = columns();
        for written in &self.written.tables {
            table.add_row([
                format!("  {}", written.table),
                rows(written.rows),
                duration(written.seconds),
                size(written.bytes),
                remarks(written),
            ]);
        }
        align_right(&mut table, &[1, 2, 3]);
        let mut text = vec![lines(&table)];
        text.retain(|text| !text.is_empty());
        text.extend(self.written.notes.iter().cloned());
        let (all, bytes) =
            self.written.tables.iter().fold((0, 0), |(all, bytes), table| {
                (all + table.rows + table.quarantined, bytes + table.bytes)
            });
        #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
        let rate = bytes as f64 / 1e6 / self.seconds;
        let rate = if bytes < 1_000_000 { String::new() } else { format!(", {rate:.1} MB/s") };
        text.push(format!(
            "{}: {} in {} of {}, in {}{rate}",
            self.file,
            rows(all),
            counted(self.written.tables.len() as u64, "table"),
            self.database,
            duration(self.seconds)
        ));
        text.join("\n")
    }

    fn exit_code(&self) -> ExitCode {
        self.exit_code()
    }
}

fn remarks(table: &WrittenTable) -> String {
    let parts = [
        (table.target != table.table).then(|| format!("from {}", table.target)),
        table.step.is_none().then(|| "brought by no step".to_owned()),
        (table.quarantined > 0).then(|| format!("and {} from the quarantine", rows(table.quarantined))),
        (table.originals > 0)
            .then(|| format!("{} in the spelling that was kept", counted(table.originals, "cell"))),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
}
