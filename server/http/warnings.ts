/** Warnings for the client: header `Warning`, code 299 (RFC 7234 section 5.5, apiserver `pkg/endpoints/filters/warning.go`). */
import { Buffer } from "node:buffer";
import { versions } from "node:process";

/** When all warnings together exceed this number of characters, each warning is cut. */
const MAX_TOTAL = 4096;
const MAX_CUT = 256;

/** Deno writes header values as UTF-8; Node writes the low byte of each character. */
const WRITES_UTF8 = "deno" in versions;

/** Collects the warnings of one request, each only once. */
export class Warnings {
  /** The added texts; undefined for most requests, which have no warning. */
  #texts: Set<string> | undefined;
  /** The header values in the order of addition. */
  #sent: string[] = [];
  #length = 0;
  #isCutting = false;

  /** Adds a warning; a warning with control characters is not sent. */
  add(text: string): void {
    const texts = this.#texts ??= new Set();
    if (text === "" || texts.has(text) || (this.#isCutting && this.#length >= MAX_TOTAL)) return;
    texts.add(text);
    const characters = Array.from(text);
    if (!this.#isCutting && this.#length + characters.length > MAX_TOTAL) {
      this.#isCutting = true;
      this.#sent = [];
      this.#length = 0;
      for (const known of texts) this.#send(Array.from(known).slice(0, MAX_CUT));
    } else this.#send(this.#isCutting ? characters.slice(0, MAX_CUT) : characters);
  }

  /** Adds strict decoding errors. The repeated keys of YAML are one error of several lines, each a warning of its own. */
  addStrict(errors: readonly string[]): void {
    for (const error of errors) {
      const heading = HEADINGS.find((prefix) => error.startsWith(prefix));
      if (heading === undefined) this.add(error);
      else for (const line of error.slice(heading.length).split("\n")) this.add(line.trim());
    }
  }

  /** Returns the header values, such as `299 - "unknown field \"spec.foo\""`. */
  headers(): readonly string[] {
    return this.#sent;
  }

  #send(characters: readonly string[]): void {
    const text = characters.join("");
    if (CONTROLS.test(text)) return;
    this.#length += characters.length;
    this.#sent.push(headerText(`299 - "${text.replace(/([\\"])/g, "\\$1")}"`));
  }
}

const CONTROLS = /\p{Cc}/u;
const HEADINGS = ["yaml: unmarshal errors:\n", "error converting YAML to JSON: yaml: unmarshal errors:\n"];

function headerText(text: string): string {
  const wellFormed = text.toWellFormed();
  // Deno accepts only characters of Latin-1 in a header.
  if (WRITES_UTF8) return wellFormed.replace(/[\u{100}-\u{10ffff}]/gu, "?");
  return Buffer.from(wellFormed, "utf8").toString("latin1");
}
