/** Text in roff (groff_man(7), mandoc_char(7)), escaped so that no character is taken as a command. */

const ESCAPES: Readonly<Record<string, string>> = {
  "\\": "\\e",
  "-": "\\-",
  "'": "\\(aq",
  '"': "\\(dq",
  "`": "\\(ga",
  "^": "\\(ha",
  "~": "\\(ti",
};

/** Escapes a line of text, also where it looks like a command. */
export function roffText(text: string): string {
  return text.replace(/[\\\-'"`^~]|[^\x20-\x7e]/gu, (char) => ESCAPES[char] ?? unicode(char)).replace(/^\./, "\\&.");
}

/** Formats literal text, such as a command, in bold. */
export function code(text: string): string {
  return `\\fB${roffText(text)}\\fR`;
}

/** Formats a text as a paragraph of its own. */
export function paragraph(text: string): readonly string[] {
  return [".PP", roffText(text)];
}

/** Formats an indented block that keeps its line breaks. */
export function preformatted(text: string): readonly string[] {
  return [".PP", ".RS 4", ".nf", ...text.split("\n").map((line) => code(line)), ".fi", ".RE"];
}

/** Writes a character by its code point. Control characters become blanks, as they have no place in a page. */
function unicode(char: string): string {
  const point = char.codePointAt(0) ?? 0;
  if (point < 0x20 || point === 0x7f) return " ";
  return `\\[u${point.toString(16).toUpperCase().padStart(4, "0")}]`;
}
