/** The static token file of `--token-auth-file` (`apiserver/pkg/authentication/token/tokenfile/tokenfile.go`). */
import { Secret } from "../lib/brand.ts";
import { byteLength } from "../lib/go_text.ts";
import { err, ok, type Result } from "../lib/result.ts";

/** One token and the user that it authenticates. */
export interface TokenFileEntry {
  readonly token: Secret<string>;
  readonly username: string;
  readonly uid: string;
  /** The groups as written, neither trimmed nor checked. */
  readonly groups: readonly string[];
}

/** The entries of a token file, each token once, and warnings for the log. */
export interface TokenFile {
  readonly entries: readonly TokenFileEntry[];
  readonly warnings: readonly string[];
}

const MIN_COLUMNS = 3;

/**
 * Reads `token,user,uid[,"group1,group2"]` lines. The last line of a duplicate token wins. The error is kube-apiserver's and
 * never contains a token.
 */
export function parseTokenFile(text: string, path: string): Result<TokenFile, string> {
  const records = parseCsv(text);
  if (!records.ok) return records;
  const entries = new Map<string, TokenFileEntry>();
  const warnings: string[] = [];
  for (const [index, record] of records.value.entries()) {
    const [token = "", username = "", uid = "", groups] = record;
    if (record.length < MIN_COLUMNS) {
      return err(
        `token file '${path}' must have at least ${MIN_COLUMNS} columns (token, user name, user uid), ` +
          `found ${record.length}`,
      );
    }
    const where = `in token file '${path}', record number '${index + 1}'`;
    if (token === "") {
      warnings.push(`empty token has been found ${where}`);
      continue;
    }
    if (entries.has(token)) warnings.push(`duplicate token has been found ${where}`);
    entries.set(token, { token: new Secret(token), username, uid, groups: groups?.split(",") ?? [] });
  }
  return ok({ entries: [...entries.values()], warnings });
}

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
  /** The index of the line after the record. */
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
