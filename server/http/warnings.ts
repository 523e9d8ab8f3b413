/** Warnings for the client: header `Warning`, code 299 (RFC 7234 section 5.5, apiserver `endpoints/filters/warning.go`). */
import { Buffer } from "node:buffer";
import { versions } from "node:process";

/** From this many characters together on, each warning is cut. */
const MAX_TOTAL = 4096;
const MAX_CUT = 256;

/** Deno writes the characters of a header in UTF-8 itself; Node writes their low bytes. */
const WRITES_UTF8 = "deno" in versions;

/** Collects the warnings of one request, each at most once. */
export class Warnings {
  /** Most requests have none. */
  #texts: Set<string> | undefined;
  /** What is sent, in the order of adding. */
  #sent: string[] = [];
  #length = 0;
  #isCutting = false;

  /** Adds a warning; one with control characters is not sent. */
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

  /** What strict decoding found. YAML's repeated keys are one error of several lines; each is a warning of its own. */
  addStrict(errors: readonly string[]): void {
    for (const error of errors) {
      const heading = HEADINGS.find((prefix) => error.startsWith(prefix));
      if (heading === undefined) this.add(error);
      else for (const line of error.slice(heading.length).split("\n")) this.add(line.trim());
    }
  }

  /** Header values, such as `299 - "unknown field \"spec.foo\""`. */
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
  const mended = text.toWellFormed();
  // What goes beyond Latin-1 cannot be handed to Deno.
  if (WRITES_UTF8) return mended.replace(/[\u{100}-\u{10ffff}]/gu, "?");
  return Buffer.from(mended, "utf8").toString("latin1");
}
