/** Comma-separated values as Go's `encoding/csv` reads them: RFC 4180 quotes, spaces kept, empty lines skipped. */
import { byteLength } from "../lib/quote.ts";
import { err, ok, type Result } from "../lib/result.ts";

const BARE_QUOTE = 'bare " in non-quoted-field';
const QUOTE = 'extraneous or missing " in quoted-field';

/** Parses all records, which may differ in length. The error is Go's, with line and column in bytes. */
export function parseCsv(text: string): Result<readonly (readonly string[])[], string> {
  const lines = splitLines(text);
  const records: (readonly string[])[] = [];
  for (let index = 0; index < lines.length;) {
    if (lines[index] === "\n") {
      index++;
      continue;
    }
    const record = readRecord(lines, index);
    if (!record.ok) return record;
    records.push(record.value.fields);
    index = record.value.next;
  }
  return ok(records);
}

interface ReadRecord {
  readonly fields: readonly string[];
  /** Index of the line after the record. */
  readonly next: number;
}

/** Reads the record that starts at a line; a quoted field may span several lines. */
function readRecord(lines: readonly string[], first: number): Result<ReadRecord, string> {
  const fields: string[] = [];
  let at = first;
  let line = lines[at] ?? "";
  let offset = 0;
  const fail = (what: string, column: number) => {
    const where = `parse error on line ${at + 1}, column ${column}: ${what}`;
    return err(at === first ? where : `record on line ${first + 1}; ${where}`);
  };
  const countColumn = (position: number) => byteLength(line.slice(0, position)) + 1;
  while (true) {
    if (line[offset] !== '"') {
      const comma = line.indexOf(",", offset);
      const field = line.slice(offset, comma < 0 ? line.length : comma).replace(/\n$/, "");
      const quote = field.indexOf('"');
      if (quote >= 0) return fail(BARE_QUOTE, countColumn(offset + quote));
      fields.push(field);
      if (comma < 0) return ok({ fields, next: at + 1 });
      offset = comma + 1;
      continue;
    }
    let value = "";
    offset++;
    while (true) {
      const quote = line.indexOf('"', offset);
      if (quote < 0) {
        value += line.slice(offset);
        if (at + 1 >= lines.length) return fail(QUOTE, countColumn(line.length));
        at++;
        line = lines[at] ?? "";
        offset = 0;
        continue;
      }
      value += line.slice(offset, quote);
      offset = quote + 1;
      if (line[offset] !== '"') break;
      value += '"';
      offset++;
    }
    fields.push(value);
    const rest = line.slice(offset);
    if (rest === "" || rest === "\n") return ok({ fields, next: at + 1 });
    if (rest[0] !== ",") return fail(QUOTE, countColumn(offset - 1));
    offset++;
  }
}

/** Splits a text into lines that end with one line feed each; a carriage return at the very end is dropped. */
function splitLines(text: string): readonly string[] {
  const lines = text.split("\n");
  const last = (lines.pop() ?? "").replace(/\r$/, "");
  const ended = lines.map((line) => `${line.replace(/\r$/, "")}\n`);
  return last === "" ? ended : [...ended, last];
}
