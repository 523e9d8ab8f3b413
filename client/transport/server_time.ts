/**
 * Compares the server's clock with this machine's, from the `Date` header of each answer. It loads the health report,
 * so only callers that report a difference should load it.
 */
import { type ClockReading, findSkewMs } from "../../core/report/health/machine.ts";
import type { Clock, Transport } from "../../core/ports.ts";

/** A transport that keeps the latest time from a `Date` header. */
export interface TimedTransport extends Transport {
  /** The latest reading; undefined before the first answer with a date. */
  findSkew(): ClockReading | undefined;
}

/** Wraps a transport and reads the server's clock from every answer. */
export function observeServerTime(transport: Transport, clock: Clock): TimedTransport {
  let skew: ClockReading | undefined;
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

/** Reports whether the clocks are further apart than certificates tolerate. */
export function isSkewed(skew: ClockReading | undefined): skew is ClockReading {
  return findSkewMs(skew) !== undefined;
}
