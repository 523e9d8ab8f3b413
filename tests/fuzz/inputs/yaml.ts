/** Random YAML: nested collections with every style of scalar, and pieces of syntax in any order. */
import type { Random } from "../../../core/ports.ts";
import { below, oneIn, pick } from "../../support/dice.ts";

const PLAIN = [
  ...["a", "b c", "é", "x:y", "a#b", "-a", "?a", ":a", "a?b", "<<", "=", "a'b", "[", "a]", "%a", "@a", "`a", "<", ">="],
  ...["yes", "No", "y", "N", "on", "OFF", "true", "False", "TRUE", "null", "Null", "~", "", "nULL", "tRue"],
  ...[
    "0",
    "-0",
    "+5",
    "007",
    "0777",
    "0o17",
    "0o8",
    "08",
    "0x1F",
    "-0x1f",
    "0b101",
    "0b-1",
    "0b2",
    "1_000",
    "_1",
    "1__0_",
  ],
  ...["1.5", "1.", ".5", "-.5", "+.5", ".", "1e3", "1E-7", "1e+21", "1.0", "1e400", "12e03", "0.1_0", "._1", "1_0.5"],
  ...[
    ".inf",
    "-.Inf",
    "+.INF",
    ".nan",
    ".NaN",
    "nan",
    "inf",
    "0x",
    "0b",
    "0o",
    "1e",
    "--1",
    "+-1",
    "0x_1",
    "0_7",
    "-0o7",
  ],
  ...[
    "9007199254740993",
    "9223372036854775807",
    "-9223372036854775808",
    "18446744073709551615",
    "99999999999999999999999",
  ],
  ...["2020-01-01", "2020-01-01T00:00:00Z", "2020-1-1 1:2:3.4", "2020-13-45", "1:30", "190:20:30.15", "1:99"],
];
const PROPERTIES = [
  "!!str ",
  "!!int ",
  "!!float ",
  "!!bool ",
  "!!null ",
  "!!binary ",
  "!!timestamp ",
  "!!merge ",
  "! ",
];
const ODD_PROPERTIES = [
  "!a ",
  "!<tag:yaml.org,2002:str> ",
  "!!map ",
  "!!seq ",
  "!!set ",
  "!a!b ",
  "&a !!str ",
  "!!str &a ",
];
const WHITE = ["", " ", "  ", "\t", " \t", "\n", "\n\n", " # c\n", "#c\n", "\r\n", "\r", "\u0085", "\u2028", "\ufeff"];
const PIECES = [
  ..."[]{},:?-&*!|>'\"#%@ \n\ta0".split(""),
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

/** Generates one document: two of three are nested collections, and the others are pieces of syntax. */
export function generateYaml(random: Random): string {
  if (oneIn(random, 3)) return Array.from({ length: 1 + below(random, 12) }, () => pick(random, PIECES)).join("");
  const anchors: string[] = [];
  const head = oneIn(random, 12)
    ? pick(random, ["---\n", "--- ", "%YAML 1.1\n---\n", "# c\n", "\ufeff", "\n", "...\n"])
    : "";
  const tail = oneIn(random, 12) ? pick(random, ["...\n", "---\n", "--- x\n", "# c", "\t", "...\n...\n", "\n\n"]) : "";
  return head + block(random, "", anchors, 0) + tail;
}

/** Generates a collection or a scalar, from its line's end or from the place after `- ` and `? `. */
function block(random: Random, indent: string, anchors: string[], depth: number): string {
  const kind = depth > 4 ? 9 : below(random, 10);
  if (kind > 6 || (kind > 4 && depth > 0)) return ` ${scalar(random, indent, anchors)}${lineEnd(random)}`;
  if (kind === 4) return ` ${flow(random, anchors, 0)}${lineEnd(random)}`;
  const before = depth > 0 && oneIn(random, 6) ? ` ${property(random, anchors)}` : "";
  const count = 1 + below(random, 3);
  const compact = kind === 3 && depth > 0 && indent !== "";
  const deeper = kind === 2 && oneIn(random, 3) ? indent : `${indent}${pick(random, [" ", "  ", "  ", "    "])}`;
  const own = depth === 0 ? "" : deeper;
  let out = depth === 0 ? "" : `${before}${lineEnd(random)}`;
  for (let i = 0; i < count; i++) {
    out += compact && i > 0 && oneIn(random, 8) ? indent : own;
    if (kind < 2 || kind > 3) out += `${key(random, i, anchors)}:${block(random, own, anchors, depth + 1)}`;
    else {out += `-${
        oneIn(random, 3) ? inline(random, `${own}  `, anchors, depth + 1) : block(random, own, anchors, depth + 1)
      }`;}
  }
  return out;
}

/** Generates a collection that starts on the line of its `-`. */
function inline(random: Random, indent: string, anchors: string[], depth: number): string {
  const first = `${key(random, 0, anchors)}:${block(random, indent, anchors, depth + 1)}`;
  if (oneIn(random, 2)) {
    return ` - ${scalar(random, `${indent}  `, anchors)}\n${indent}- ${scalar(random, indent, anchors)}\n`;
  }
  return ` ${first}${indent}${key(random, 1, anchors)}:${block(random, indent, anchors, depth + 1)}`;
}

function key(random: Random, index: number, anchors: string[]): string {
  if (oneIn(random, 10)) {
    return pick(random, ["<<", "? a\n", "{}", "[a]", '"a\\n"', "'b'", "&a a", "!!str 1", "1", "1.5", "~", "yes"]);
  }
  if (oneIn(random, 20)) return pick(random, PLAIN);
  if (oneIn(random, 40) && anchors.length > 0) return `*${pick(random, anchors)} `;
  return `${pick(random, ["a", "b", "k", "name"])}${oneIn(random, 15) ? "" : index}${oneIn(random, 20) ? " " : ""}`;
}

function property(random: Random, anchors: string[]): string {
  if (oneIn(random, 2)) return pick(random, oneIn(random, 3) ? ODD_PROPERTIES : PROPERTIES);
  const name = pick(random, ["a", "b", "x-1", "é"]);
  anchors.push(name);
  return `&${name} `;
}

function scalar(random: Random, indent: string, anchors: string[]): string {
  const before = oneIn(random, 8) ? property(random, anchors) : "";
  const inner = `${indent}${pick(random, [" ", "  ", "  ", ""])}`;
  const text = (): string =>
    pick(random, ["a", "b c", "# x", "- d", "k: v", "", " e", "\tf", "é", "---", "'", '"', "x ", ":"]);
  switch (below(random, 12)) {
    case 0:
      return `${before}'${text().replaceAll("'", "''")}${
        oneIn(random, 2) ? `\n${inner}${text().replaceAll("'", "''")}` : ""
      }'`;
    case 1:
      return `${before}"${text().replaceAll('"', '\\"')}${
        pick(random, [
          "\\n",
          "\\\n",
          "\\x41",
          "\\u00e9",
          "\\/",
          "\\ ",
          "\\q",
          "\n\n",
          "\\U0001F600",
          "\\ud83d\\ude00",
          "\t",
        ])
      }${inner}x"`;
    case 2: {
      const lines = Array.from({ length: 1 + below(random, 4) }, () => `${oneIn(random, 8) ? "" : inner}${text()}`);
      return `${before}${pick(random, ["|", ">"])}${pick(random, ["", "", "-", "+", "2", "1-", "+2", "0"])}\n${
        lines.join("\n")
      }`;
    }
    case 3:
      return `${before}${pick(random, PLAIN)}${pick(random, [" ", "\n"])}${inner}${text()}`;
    case 4:
      return anchors.length > 0 ? `*${pick(random, anchors)}` : "*a";
    default:
      return `${before}${pick(random, PLAIN)}`;
  }
}

function flow(random: Random, anchors: string[], depth: number): string {
  const white = (): string => (oneIn(random, 6) ? pick(random, WHITE) : "");
  const item = (): string => {
    if (depth < 3 && oneIn(random, 4)) return flow(random, anchors, depth + 1);
    return scalar(random, " ", anchors).replaceAll(/[[\]{},]/g, "");
  };
  const isMap = oneIn(random, 2);
  const entries = Array.from({ length: below(random, 4) }, (_, index) => {
    if (!isMap && !oneIn(random, 5)) return `${white()}${item()}${white()}`;
    const separator = pick(random, [": ", ": ", ": ", ":", " :", " : ", "", ":\n"]);
    return `${white()}${oneIn(random, 12) ? "? " : ""}${
      oneIn(random, 8) ? item() : key(random, index, anchors)
    }${separator}${item()}${white()}`;
  });
  const end = oneIn(random, 10) ? "," : "";
  return isMap ? `{${entries.join(",")}${end}}` : `[${entries.join(",")}${end}]`;
}

function lineEnd(random: Random): string {
  return oneIn(random, 10) ? pick(random, WHITE) + (oneIn(random, 4) ? "" : "\n") : "\n";
}
