/** Parses subjects as users type them: `CN=web,O=shop` (RFC 4514, as `formatName` prints them) or `/CN=web/O=shop` (OpenSSL). */
import { err, ok, type Result } from "../../../core/lib/result.ts";
import { FIELD_OF_SHORT_NAME, type ListField, type SubjectFields } from "../../../core/pki/x509/names.ts";
import { trimChars, trimEndChars } from "../../../core/lib/trim.ts";
import { splitUnescaped } from "../../../core/lib/trim.ts";

const WANTED = "want CN=name,O=group or /CN=name/O=group";

/**
 * Parses a subject. Only the attributes that signers keep are supported. Backslashes escape: `\,` is a comma, `\C3\A9` an é.
 * The order of equal attributes is kept.
 */
export function parseSubject(text: string): Result<SubjectFields, string> {
  const isSlashed = text.startsWith("/");
  const attributes = isSlashed ? text.slice(1) : text;
  // A `+` separates the attributes of an RDN with several of them.
  const isPlus = (char: string, at: number) => char === "+" && /^\s*[a-z]+\s*=/i.test(attributes.slice(at + 1));
  const parts = splitUnescaped(attributes, (char, at) => char === (isSlashed ? "/" : ",") || isPlus(char, at));
  const single: { commonName?: string; serialNumber?: string } = {};
  const lists: Partial<Record<ListField, string[]>> = {};
  for (const part of parts) {
    const [type = "", ...rest] = part.split("=");
    const short = type.trim().toUpperCase();
    const field = FIELD_OF_SHORT_NAME.get(short === "S" ? "ST" : short);
    if (rest.length === 0 || type.trim() === "") return err(WANTED);
    if (field === undefined) {
      return err(
        `attribute "${type.trim()}" is not one that a signer keeps: use CN, O, OU, C, L, ST, STREET, POSTALCODE`,
      );
    }
    const value = unescape(rest.join("="));
    if (!value.ok) return value;
    if (value.value === "") return err(`${type.trim()} has no value; ${WANTED}`);
    if (field !== "commonName" && field !== "serialNumber") (lists[field] ??= []).push(value.value);
    else if (single[field] === undefined) single[field] = value.value;
    else return err(`${type.trim()} is given twice`);
  }
  return ok({ ...single, ...lists });
}

/** Removes the spaces around a text, except one at its end that a backslash escapes. */
function trimSpaces(text: string): string {
  const trimmed = trimChars(text, " ");
  const backslashes = trimmed.length - trimEndChars(trimmed, "\\").length;
  return backslashes % 2 === 1 && text.endsWith(" ") ? `${trimmed} ` : trimmed;
}

/** Decodes the bytes of a value; spaces around it are removed unless they are escaped. */
function unescape(raw: string): Result<string, string> {
  const text = trimSpaces(raw);
  if (/^["#]/.test(text)) return err(`a value that begins with ${text.charAt(0)} must be written with a \\ before it`);
  if (!text.includes("\\")) return ok(text.toWellFormed());
  const bytes: number[] = [];
  const encoder = new TextEncoder();
  for (let at = 0; at < text.length;) {
    const hex = /^\\([0-9a-f]{2})/i.exec(text.slice(at))?.[1];
    const isEscape = text.charAt(at) === "\\";
    if (isEscape && hex === undefined && at + 1 === text.length) return err("it ends in the middle of an escape");
    const char = String.fromCodePoint(text.codePointAt(isEscape && hex === undefined ? at + 1 : at) ?? 0);
    if (hex === undefined) bytes.push(...encoder.encode(char));
    else bytes.push(Number.parseInt(hex, 16));
    at += hex === undefined ? char.length + (isEscape ? 1 : 0) : 3;
  }
  try {
    return ok(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(Uint8Array.from(bytes)));
  } catch {
    return err("its escaped bytes are not UTF-8");
  }
}
