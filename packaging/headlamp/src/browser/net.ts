/** The functions of `node:net` with which core recognizes addresses, in a browser. */

/** Reports whether a text is an IPv4 address of four decimal numbers without leading zeros. */
export function isIPv4(text: string): boolean {
  const parts = text.split(".");
  return parts.length === 4 && parts.every((part) => String(Number(part)) === part && Number(part) <= 255);
}

/** Returns 4 or 6 for an address, else 0. The URL parser of the browser knows the forms of IPv6. */
export function isIP(text: string): 0 | 4 | 6 {
  if (isIPv4(text)) return 4;
  return text.includes(":") && URL.canParse(`http://[${text}]/`) ? 6 : 0;
}
