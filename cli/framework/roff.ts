/** Text in roff (groff_man(7), mandoc_char(7)): every character stands for itself, whatever it would command. */

const ESCAPES: Readonly<Record<string, string>> = {
  "\\": "\\e",
  "-": "\\-",
  "'": "\\(aq",
  '"': "\\(dq",
  "`": "\\(ga",
  "^": "\\(ha",
  "~": "\\(ti",
};

/** Words in a line; those that look like a command stay words. */
export function roffText(text: string): string {
  return text.replace(/[\\\-'"`^~]|[^\x20-\x7e]/gu, (char) => ESCAPES[char] ?? unicode(char)).replace(/^\./, "\\&.");
}

/** What is typed as it stands. */
export function code(text: string): string {
  return `\\fB${roffText(text)}\\fR`;
}

/** A paragraph. */
export function paragraph(text: string): readonly string[] {
  return [".PP", roffText(text)];
}

/** Lines that keep their breaks, set in. */
export function preformatted(text: string): readonly string[] {
  return [".PP", ".RS 4", ".nf", ...text.split("\n").map((line) => code(line)), ".fi", ".RE"];
}

/** Control characters have no place in a page. */
function unicode(char: string): string {
  const point = char.codePointAt(0) ?? 0;
  if (point < 0x20 || point === 0x7f) return " ";
  return `\\[u${point.toString(16).toUpperCase().padStart(4, "0")}]`;
}
