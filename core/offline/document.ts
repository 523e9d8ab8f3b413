/**
 * The text of a request or an answer on a stick: a title, readable header lines, PEM blocks under headings, and a checksum
 * over all of it. A reader accepts the line ends and trailing blanks of any editor, and says whether a text was cut or
 * altered.
 */
import { checksum } from "../lib/armor.ts";
import { escapeControls } from "../lib/printable.ts";
import { err, ok, type Result } from "../lib/result.ts";

/** A text with its parts. */
export interface OfflineDocument {
  /** The first line, such as `tlsboot certificate request`. */
  readonly title: string;
  /** Names are words without a colon. Unprintable characters of the values are escaped in the text. */
  readonly headers: ReadonlyMap<string, string>;
  /** The PEM blocks, by their heading. */
  readonly sections: ReadonlyMap<string, string>;
}

/** The header that holds a signature over the rest of a document. */
export const SIGNATURE_HEADER = "Signature";
const CHECKSUM_HEADER = "Checksum";
const HEADING = "# ";
const END = "# end";

/** Encodes a document with its checksum. */
export function encodeDocument(document: OfflineDocument): string {
  const text = render(document, document.headers);
  const sum = checksum(new TextEncoder().encode(text));
  return render(document, new Map([...document.headers, [CHECKSUM_HEADER, sum]]));
}

/** Returns the bytes that a signature covers: the document without its checksum and the signature itself. */
export function encodeSignedPart(document: OfflineDocument): Uint8Array<ArrayBuffer> {
  const headers = new Map([...document.headers].filter(([name]) => name !== SIGNATURE_HEADER));
  return new TextEncoder().encode(render(document, headers));
}

/**
 * Parses a document with a title; the values of its headers keep their escapes. The error is a sentence about the file:
 * `it is cut off: …`.
 */
export function parseDocument(text: string, title: string): Result<OfflineDocument, string> {
  const lines = text.replace(/^\ufeff/, "").split("\n").map((line) => line.trimEnd());
  while (lines.at(-1) === "") lines.pop();
  if (lines.length === 0) return err("it is empty");
  if (lines[0] !== title) return err(`it was altered or is another file: its first line is not "${title}"`);
  if (lines.at(-1) !== END) return err(`it is cut off: its last line is not "${END}"`);
  const headers = new Map<string, string>();
  const sections = new Map<string, string>();
  let heading: string | undefined;
  for (const line of lines.slice(1, -1)) {
    if (line.startsWith(HEADING)) {
      heading = line.slice(HEADING.length);
      sections.set(heading, "");
    } else if (heading !== undefined) sections.set(heading, `${sections.get(heading)}${line}\n`);
    else if (line !== "") {
      const [, name = "", value = ""] = /^([A-Z][A-Za-z ]*):(?: (.*))?$/.exec(line) ?? [];
      // Without its escapes a value would have the checksum and the signature of another one.
      if (name === "" || headers.has(name) || value !== escapeControls(value)) {
        return err(`it was altered: the line "${escapeControls(line)}" cannot be read`);
      }
      headers.set(name, value);
    }
  }
  const sum = headers.get(CHECKSUM_HEADER);
  headers.delete(CHECKSUM_HEADER);
  const document = { title, headers, sections };
  const found = checksum(new TextEncoder().encode(render(document, headers)));
  if (sum !== found) return err("it was altered: its checksum does not match");
  return ok(document);
}

function render({ title, sections }: OfflineDocument, headers: ReadonlyMap<string, string>): string {
  const lines = [...headers].map(([name, value]) => `${name}: ${escapeControls(value)}`.trimEnd());
  const parts = [...sections].map(([heading, pem]) => `${HEADING}${heading}\n${pem}`);
  return [title, ...lines, "", ...parts.map((part) => part.trimEnd()), END, ""].join("\n");
}
