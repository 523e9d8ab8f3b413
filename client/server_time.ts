/** Notices when the server's clock and ours disagree: its answers carry a `Date` header. */
import { type ClockReading, findSkewMs } from "../core/bootstrap/machine_assessment.ts";
import type { Clock, Transport } from "../core/ports.ts";

/** How far apart two clocks are. */
export type ClockSkew = ClockReading;

/** A transport that remembers the newest time the server told. */
export interface TimedTransport extends Transport {
  /** Undefined before the first answer with a date. */
  findSkew(): ClockSkew | undefined;
}

/** Wraps a transport so that the server's clock is known. */
export function observeServerTime(transport: Transport, clock: Clock): TimedTransport {
  let skew: ClockSkew | undefined;
  return {
    async send(request, signal) {
      const answer = await transport.send(request, signal);
      const serverTime = new Date(answer.headers["date"] ?? "");
      if (!Number.isNaN(serverTime.getTime())) skew = { serverTime, ourTime: clock.now() };
      return answer;
    },
    findSkew: () => skew,
  };
}

/** True when the clocks are further apart than certificates tolerate. */
export function isSkewed(skew: ClockSkew | undefined): skew is ClockSkew {
  return findSkewMs(skew) !== undefined;
}
