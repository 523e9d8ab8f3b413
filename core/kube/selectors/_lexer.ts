/** Splits a label selector into tokens (apimachinery `pkg/labels/selector.go`, Lexer). */

/** What a token is; operators and marks are named by their text. */
export type TokenKind =
  | "identifier"
  | "end"
  | "in"
  | "notin"
  | "="
  | "=="
  | "!="
  | "!"
  | ">"
  | "<"
  | "("
  | ")"
  | ",";

/** One token; `text` is empty at the end. */
export interface Token {
  readonly kind: TokenKind;
  readonly text: string;
}

const MARKS = "=!(),><";
const SPACES = " \t\r\n";

/** Every token of a text, the last one is `end`. A NUL character ends the text, as it does upstream. */
export function tokenize(source: string): readonly Token[] {
  const text = source.split("\u0000", 1)[0] ?? "";
  const tokens: Token[] = [];
  let position = 0;
  while (position < text.length) {
    const character = text.charAt(position);
    if (SPACES.includes(character)) {
      position += 1;
      continue;
    }
    const token = MARKS.includes(character) ? scanMark(text, position) : scanWord(text, position);
    tokens.push(token);
    position += token.text.length;
  }
  tokens.push({ kind: "end", text: "" });
  return tokens;
}

/** The longest of `==`, `!=` and the single marks. */
function scanMark(text: string, position: number): Token {
  const pair = text.slice(position, position + 2);
  if (pair === "==" || pair === "!=") return { kind: pair, text: pair };
  const mark = text.charAt(position) as "=" | "!" | "(" | ")" | "," | ">" | "<";
  return { kind: mark, text: mark };
}

function scanWord(text: string, position: number): Token {
  let end = position;
  while (end < text.length && !MARKS.includes(text.charAt(end)) && !SPACES.includes(text.charAt(end))) end += 1;
  const word = text.slice(position, end);
  return { kind: word === "in" || word === "notin" ? word : "identifier", text: word };
}
