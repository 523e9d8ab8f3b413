/** Scans directives, tags, anchors and aliases (go-yaml v2 `scannerc.go`). */
import { Buffer } from "node:buffer";
import { type Cursor, isBlank, isBlankOrEnd, isBreakOrEnd, isWord } from "./cursor.ts";

/** The content of a line that starts with `%`. */
export type Directive =
  | { readonly kind: "version"; readonly version: string }
  | { readonly kind: "tag"; readonly handle: string; readonly prefix: string };

const BANG = 33;
const PERCENT = 37;
const DOT = 46;
/** The characters of a tag's address apart from letters and digits: `;/?:@&=+$,.!~*'()[]%`. */
const URI_CODES: ReadonlySet<number> = new Set(Array.from(";/?:@&=+$,.!~*'()[]%", (char) => char.charCodeAt(0)));
/** The characters that may follow the name of an anchor apart from blanks: `?:,]}%@` and the grave accent. */
const NAME_ENDS: ReadonlySet<number> = new Set(Array.from("?:,]}%@`", (char) => char.charCodeAt(0)));

/** Scans a directive, `%YAML 1.1` or `%TAG ! …`. */
export function scanDirective(cursor: Cursor): Directive {
  cursor.skip();
  const name = cursor.readWhile(isWord);
  if (name === "") throw cursor.error("could not find expected directive name");
  if (!isBlankOrEnd(cursor.at())) throw cursor.error("found unexpected non-alphabetical character");
  if (name !== "YAML" && name !== "TAG") throw cursor.error("found unknown directive name");
  const directive = name === "YAML" ? scanVersion(cursor) : scanTagDirective(cursor);
  cursor.readWhile(isBlank);
  if (cursor.at() === 35) cursor.readLine();
  if (!isBreakOrEnd(cursor.at())) throw cursor.error("did not find expected comment or line break");
  cursor.skipBreak();
  return directive;
}

function scanVersion(cursor: Cursor): Directive {
  cursor.readWhile(isBlank);
  const major = scanVersionNumber(cursor);
  if (cursor.at() !== DOT) throw cursor.error("did not find expected digit or '.' character");
  cursor.skip();
  return { kind: "version", version: `${major}.${scanVersionNumber(cursor)}` };
}

function scanVersionNumber(cursor: Cursor): number {
  let digits = "";
  while (cursor.at() >= 48 && cursor.at() <= 57) {
    if (digits.length === 2) throw cursor.error("found extremely long version number");
    digits += String.fromCharCode(cursor.at());
    cursor.skip();
  }
  if (digits === "") throw cursor.error("did not find expected version number");
  return Number(digits);
}

function scanTagDirective(cursor: Cursor): Directive {
  cursor.readWhile(isBlank);
  const handle = scanTagHandle(cursor, true);
  if (!isBlank(cursor.at())) throw cursor.error("did not find expected whitespace");
  cursor.readWhile(isBlank);
  const prefix = scanTagUri(cursor, "");
  if (!isBlankOrEnd(cursor.at())) throw cursor.error("did not find expected whitespace or line break");
  return { kind: "tag", handle, prefix };
}

/** Scans a tag: `!handle!suffix`, `!suffix` or `!<whole>`. The handle of a whole tag is empty. */
export function scanTag(cursor: Cursor): { readonly handle: string; readonly suffix: string } {
  const tag = scanTagParts(cursor);
  if (!isBlankOrEnd(cursor.at())) throw cursor.error("did not find expected whitespace or line break");
  return tag;
}

function scanTagParts(cursor: Cursor): { readonly handle: string; readonly suffix: string } {
  cursor.need(2);
  if (cursor.at(1) === 60) {
    cursor.skip();
    cursor.skip();
    const suffix = scanTagUri(cursor, "");
    if (cursor.at() !== 62) throw cursor.error("did not find the expected '>'");
    cursor.skip();
    return { handle: "", suffix };
  }
  const handle = scanTagHandle(cursor, false);
  if (handle.length > 1 && handle.endsWith("!")) return { handle, suffix: scanTagUri(cursor, "") };
  const suffix = scanTagUri(cursor, handle);
  return suffix === "" ? { handle: "", suffix: "!" } : { handle: "!", suffix };
}

function scanTagHandle(cursor: Cursor, isDirective: boolean): string {
  if (cursor.at() !== BANG) throw cursor.error("did not find expected '!'");
  cursor.skip();
  const handle = `!${cursor.readWhile(isWord)}`;
  if (cursor.at() === BANG) {
    cursor.skip();
    return `${handle}!`;
  }
  if (isDirective && handle !== "!") throw cursor.error("did not find expected '!'");
  return handle;
}

/**
 * @param head the part that was already read, with a leading `!`
 */
function scanTagUri(cursor: Cursor, head: string): string {
  let uri = head.slice(1);
  let found = head !== "";
  for (;;) {
    const text = cursor.readWhile((code) => code !== PERCENT && (isWord(code) || URI_CODES.has(code)));
    found ||= text !== "";
    uri += text;
    if (cursor.at() !== PERCENT) break;
    uri += scanUriEscape(cursor);
    found = true;
  }
  if (!found) throw cursor.error("did not find expected tag URI");
  return uri;
}

/** Scans one character of UTF-8 in octets `%xx`. */
function scanUriEscape(cursor: Cursor): string {
  const octets: number[] = [];
  let width = 1;
  while (octets.length < width) {
    cursor.need(3);
    const digits = String.fromCharCode(cursor.at(), cursor.at(1), cursor.at(2));
    if (!/^%[0-9a-fA-F]{2}$/.test(digits)) throw cursor.error("did not find URI escaped octet");
    const octet = Number.parseInt(digits.slice(1), 16);
    if (octets.length === 0) {
      width = octet < 0x80
        ? 1
        : (octet & 0xe0) === 0xc0
        ? 2
        : (octet & 0xf0) === 0xe0
        ? 3
        : (octet & 0xf8) === 0xf0
        ? 4
        : 0;
      if (width === 0) throw cursor.error("found an incorrect leading UTF-8 octet");
    } else if ((octet & 0xc0) !== 0x80) throw cursor.error("found an incorrect trailing UTF-8 octet");
    octets.push(octet);
    for (let i = 0; i < 3; i++) cursor.skip();
  }
  return Buffer.from(octets).toString("utf8");
}

/** Scans the name after `&` or `*`. */
export function scanName(cursor: Cursor): string {
  cursor.skip();
  const name = cursor.readWhile(isWord);
  if (name === "" || !(isBlankOrEnd(cursor.at()) || NAME_ENDS.has(cursor.at()))) {
    throw cursor.error("did not find expected alphabetic or numeric character");
  }
  return name;
}
