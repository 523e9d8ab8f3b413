/** Where a request says it comes from, and where it does come from (apimachinery `util/net`, SourceIPs). */
import { isIP } from "node:net";
import { type Exchange, headerOf } from "./exchange.ts";

/** The addresses of `X-Forwarded-For` and `X-Real-Ip`, which anybody can write, and last the one of the connection. */
export function sourceIpsOf(exchange: Exchange, remoteAddress: string): readonly string[] {
  const forwarded = (headerOf(exchange, "x-forwarded-for") ?? "").split(",").map((part) => part.trim());
  const addresses = forwarded.filter((address) => isIP(address) !== 0);
  const real = headerOf(exchange, "x-real-ip")?.trim() ?? "";
  if (isIP(real) !== 0 && !addresses.includes(real)) addresses.push(real);
  const remote = remoteAddress.startsWith("::ffff:") ? remoteAddress.slice("::ffff:".length) : remoteAddress;
  if (isIP(remote) !== 0 && addresses.at(-1) !== remote) addresses.push(remote);
  return addresses;
}
