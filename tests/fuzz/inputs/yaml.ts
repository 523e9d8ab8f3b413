/** Generates random YAML: nested collections with every style of scalar, and pieces of syntax in any order. */
import type { Random } from "../../../core/ports.ts";
import { below, oneIn, pick } from "../../support/seeded_random.ts";

const words = (text: string): readonly string[] => text.split(" ");
const SCALARS: readonly string[] = [
  ...words("a é x:y a#b -a :a << = a'b < >= system:nodes 10.0.0.1:6443"),
  ...words("yes No y N on OFF true False TRUE null Null ~ nULL tRue"),
  ...words("0 -0 +5 007 0777 0o17 0o8 08 0x1F -0x1f 0b101 0b-1 0b2 1_000 _1 1__0_ 0x 0b 0o 0x_1 0_7 -0o7 --1 +-1"),
  ...words("1.5 1. .5 -.5 +.5 . 1e3 1E-7 1e+21 1.0 1e400 12e03 0.1_0 ._1 1_0.5 1e nan inf"),
  ...words("9007199254740993 9223372036854775807 -9223372036854775808 18446744073709551615 99999999999999999999999"),
  ...words("2020-01-01 2020-01-01T00:00:00Z 2020-13-45 1:30 190:20:30.15 1:99"),
  ...["", "b c", "2020-1-1 1:2:3.4"],
];
const ODD_SCALARS = words("?a a?b %a @a `a a] a,b .inf -.Inf +.INF .nan .NaN - ? : - : [ } | > # & * ! ' \"");
const LINES = [
  ...words("a b-c # - k: v: é --- ... ' \" : %a ! & *"),
  "b c",
  "# x",
  "- d",
  "k: v",
  "",
  " e",
  "\tf",
  "x ",
  "x\t",
  "\u2028",
  "a\u2028b",
  "\u2029--- ",
];
const PROPERTIES = words("!!str ! !a !<tag:yaml.org,2002:str>");
const ODD_PROPERTIES = [
  ...words(
    "!!int !!float !!bool !!null !!binary !!timestamp !!merge !!map !!seq !!set !a!b !! !é !a,b !<a b> &é &a: &a&b",
  ),
  "&a !!str",
  "!!str &a",
  "!a\n",
];
const WHITE = [
  "",
  "  ",
  "\t",
  " \t",
  "\n\n",
  " # c\n",
  "#c\n",
  "\r\n",
  "\r",
  "\u0085",
  "\u2028",
  "\u00a0",
  "\u3000",
  "\ufeff",
  "\n \n",
  "\n\t\n",
];
const PIECES = [
  ..."[]{},:?-&*!|>'\"#%@ \n\ta0\u00a0\u3000",
  ...[
    ": ",
    "- ",
    "? ",
    "a: ",
    "b: 1\n",
    "\n  ",
    "\n ",
    "---",
    "...",
    "---\n",
    "...\n",
    "--- ",
    "%YAML 1.1\n",
    "%TAG ! x\n",
  ],
  ...[
    "&a ",
    "*a ",
    "!!str ",
    "|\n",
    ">-\n",
    "|2+\n",
    "\\n",
    "\\x41",
    "\\/",
    "''",
    "<<: ",
    "{a: 1}",
    "[a]",
    "{a, b: c}",
  ],
];
const ESCAPES = ["\u2028", "\\n", "\\\n", "\\x41", "\\u00e9", "\\ ", "\\U0001F600", "\\0", "\\N", "\n\n", "\n", "\t"];
const ODD_ESCAPES = ["\\/", "\\q", "\\ud83d\\ude00", "\\\t", "\\U00110000", "\\x4", "\\\r\n"];

/** Generates one document, which is well-formed, has a few odd places, or consists of pieces of syntax in any order. */
export function generateYaml(random: Random): string {
  if (oneIn(random, 6)) return Array.from({ length: 1 + below(random, 12) }, () => pick(random, PIECES)).join("");
  return new Generator(random, pick(random, [0, 0, 40, 15])).document();
}

class Generator {
  readonly #random: Random;
  /** One in this many places is odd; none if it is 0. */
  readonly #odd: number;
  readonly #anchors: string[] = [];

  constructor(random: Random, odd: number) {
    this.#random = random;
    this.#odd = odd;
  }

  document(): string {
    const heads = ["---\n", "%YAML 1.1\n---\n", "# c\n", "\ufeff", "\n", "--- "];
    const head = this.#oneIn(10) ? this.#pick(heads) : this.#isOdd() ? this.#pick(["...\n", "%X\n", " ---\n"]) : "";
    const tail = this.#isOdd() ? this.#pick(["...\n", "---\n", "--- x\n", "# c", "\t", "...\n...\n", "x", "]"]) : "";
    const body = this.#oneIn(12) ? `${this.#scalar("", 0)}\n` : this.#block("", 0);
    return head + body.slice(0, this.#oneIn(8) ? -1 : undefined) + tail;
  }

  /** Generates a block collection whose lines start with an indentation. */
  #block(indent: string, depth: number): string {
    const isList = this.#oneIn(3);
    return Array.from({ length: 1 + below(this.#random, 4) }, (_, index) => {
      const start = this.#isOdd() ? this.#pick(["", " ", `${indent} `]) : indent;
      if (isList) return `${start}-${this.#value(`${indent}  `, depth, true)}`;
      if (this.#oneIn(20)) return `${start}? ${this.#key(index)}\n${indent}:${this.#value(`${indent}  `, depth)}`;
      return `${start}${this.#key(index)}${this.#oneIn(20) ? " " : ""}:${this.#value(indent, depth)}`;
    }).join("");
  }

  /** Generates the text after `-` or `:`, including the end of the line. */
  #value(indent: string, depth: number, isCompact = false): string {
    const deeper = `${indent}${this.#pick([" ", "  ", "  ", "    "])}`;
    const space = this.#isOdd() ? this.#pick(WHITE) : this.#pick([" ", " ", " ", "  "]);
    if (depth > 3 || this.#oneIn(2)) return `${space}${this.#scalar(indent, depth)}${this.#lineEnd()}`;
    if (this.#oneIn(4)) return `${space}${this.#flow(0)}${this.#lineEnd()}`;
    if (isCompact && this.#oneIn(2)) return ` ${this.#block(indent, depth + 1).slice(indent.length)}`;
    const name = this.#oneIn(6) ? this.#pick(["a", "b", "x-1"]) : "";
    const block = `${name === "" ? "" : ` &${name}`}${this.#lineEnd()}${this.#block(deeper, depth + 1)}`;
    if (name !== "") this.#anchors.push(name);
    return block;
  }

  #key(index: number): string {
    if (this.#isOdd()) {
      return this.#pick([...SCALARS, "<<", "? a\n", "{}", "[a]", "*a ", "&a a", "!!str 1", "a\n b", "k: v"]);
    }
    if (this.#oneIn(15)) {
      return this.#pick(['"a\\n"', "'b'", "1", "1.5", "yes", "a b", "1e3", "0x10", "&b b", "!!str 5"]);
    }
    return `${this.#pick(["a", "b", "k", "name", "x-y"])}${this.#oneIn(30) ? "" : index}`;
  }

  #property(): string {
    if (this.#isOdd()) return `${this.#pick(ODD_PROPERTIES)} `;
    if (this.#oneIn(3)) return `${this.#pick(PROPERTIES)} `;
    const name = this.#pick(["a", "b", "x-1"]);
    this.#anchors.push(name);
    return `&${name} `;
  }

  #scalar(indent: string, depth: number): string {
    const inner = this.#isOdd() ? indent : `${indent}${this.#pick([" ", "  ", "  "])}`;
    const property = this.#oneIn(10) ? this.#property() : "";
    switch (below(this.#random, 12)) {
      case 0:
        return `${property}'${this.#lines(inner, depth).replaceAll("'", "''")}'`;
      case 1: {
        const escape = this.#pick(this.#isOdd() ? ODD_ESCAPES : ESCAPES);
        return `${property}"${this.#lines(inner, depth).replaceAll(/["\\]/g, "")}${escape}${inner}x"`;
      }
      case 2:
        return `${property}${this.#pick(["|", ">"])}${this.#pick(["", "", "-", "+", "2", "1-", "+2"])}\n${inner}${
          this.#lines(inner, depth)
        }`;
      case 3:
        return `${property}${this.#pick(SCALARS)} ${this.#isOdd() ? this.#lines(inner, depth) : `b\n${inner}c`}`;
      case 4:
        return this.#anchors.length > 0 || this.#isOdd() ? `*${this.#pick([...this.#anchors, "a"].slice(0, 3))}` : "a";
      default:
        return `${property}${this.#pick(this.#isOdd() ? ODD_SCALARS : SCALARS)}`;
    }
  }

  /** Generates lines of text, the first without indentation. */
  #lines(inner: string, depth: number): string {
    const lines = Array.from({ length: 1 + below(this.#random, depth > 3 ? 1 : 4) }, () => this.#pick(LINES));
    return lines.join(`\n${this.#isOdd() ? this.#pick(["", "\t", ` ${inner}`]) : inner}`);
  }

  #flow(depth: number): string {
    const isMap = this.#oneIn(2);
    const entries = Array.from({ length: below(this.#random, 4) }, (_, index) => {
      const item = depth < 3 && this.#oneIn(4)
        ? this.#flow(depth + 1)
        : this.#scalar("  ", 4).replaceAll(/[[\]{}|>#]/g, "");
      const separator = this.#isOdd() ? this.#pick([":", " :", " : ", "", ":\n", " ? "]) : ": ";
      const key = isMap || this.#oneIn(5) ? `${this.#isOdd() ? "? " : ""}${this.#key(index)}${separator}` : "";
      const quoted = this.#oneIn(8) && key !== "" ? `"${index}":${this.#oneIn(2) ? " " : ""}` : key;
      return `${this.#isOdd() ? this.#pick(WHITE) : ""}${quoted}${item}${this.#isOdd() ? this.#pick(WHITE) : ""}`;
    });
    const body = entries.join(this.#pick([",", ", ", ",\n   "])) + (this.#oneIn(10) ? "," : "");
    const last = this.#oneIn(8) ? `\n${this.#pick(["", " ", "    "])}` : "";
    return isMap ? `{${body}${last}}` : `[${body}${last}]`;
  }

  #lineEnd(): string {
    return this.#isOdd() ? `${this.#pick(WHITE)}\n` : this.#oneIn(15) ? " # c\n" : "\n";
  }

  #isOdd(): boolean {
    return this.#odd > 0 && this.#oneIn(this.#odd);
  }

  #oneIn(times: number): boolean {
    return oneIn(this.#random, times);
  }

  #pick<T>(list: readonly T[]): T {
    return pick(this.#random, list);
  }
}
