/** Mail addresses as Go's `net/mail` parses them (RFC 5322 section 3.4), without comments and groups. */
import { parseIpAddress } from "./ip_address.ts";

const ATOM = "[!#-'*+\\-/-9=?A-Z^-~]+";
const DOT_ATOM = `${ATOM}(?:\\.${ATOM})*`;
const QUOTED_CHARACTER = "(?:[ \\t!#-\\[\\]-~]|\\\\[ \\t!-~])";
const LITERAL = "\\[([!-Z^-~]*)\\]";
const SPEC = `(?:${DOT_ATOM}|"${QUOTED_CHARACTER}+")@[ \\t]*(?:${DOT_ATOM}|${LITERAL})`;
const NAME = `(?:[!#-'*+\\--9=?A-Z^-~ \\t]|"${QUOTED_CHARACTER}*")*`;

/** An address alone, such as `a@example.com`. */
const ADDRESS = new RegExp(`^[ \\t]*${SPEC}[ \\t]*$`);
/** An address after a name, such as `Ann <a@example.com>`. */
const NAMED_ADDRESS = new RegExp(`^${NAME}<[ \\t]*${SPEC}>[ \\t]*$`);

/** Reports whether a text in ASCII is one mail address, with or without the name of its owner. */
export function isMailAddress(text: string): boolean {
  const match = ADDRESS.exec(text) ?? NAMED_ADDRESS.exec(text);
  if (match === null) return false;
  const literal = match[1];
  return literal === undefined || parseIpAddress(literal) !== undefined;
}
