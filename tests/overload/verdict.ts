/** Checks that a server under attack keeps its promises. */
import { findShortfalls } from "./attack.ts";
import { findMissingKinds, findPeak, type Observation } from "./observation.ts";

/** How many lines of each message `server/log_limiter.ts` passes within its period. */
const LINES_PER_WINDOW = 20;
const WINDOW_SECONDS = 10;
/** More than the distinct messages about unauthenticated clients; messages with client input would be unlimited. */
const MAX_MESSAGES = 20;

/**
 * The memory of an idle server that has been used for a while, including garbage that V8 has not collected, which grows
 * with the rate of allocation. A twentieth of the attacks left 250 MB on a busy machine and 340 MB on a quiet one.
 */
const IDLE_MB = 350;
/**
 * The memory that all attacks together may add, because an attack does not reuse all memory of earlier ones: 10,000
 * connections without a handshake, 10,000 authenticated connections, bodies in pieces and joined, a batch for each
 * watch, and the history of what they create (`server/storage/memory/engine.ts`).
 */
const ATTACKED_MB = 10_000 * 0.04 + 10_000 * 0.08 + 2 * 128 + 500 * 0.25 + 256;
/**
 * The factor by which memory may grow from one round to the next. malloc cannot reuse all freed memory: six floods took
 * an eighth more than one, twenty a fifth more (docs/engineering/measurements.md). A leak keeps growing.
 */
const MAX_GROWTH = 1.2;
/** The growth in megabytes that is always allowed, because history and compiled code do not depend on the scale. */
const MAX_GROWTH_MB = 80;

/** The limits for Events about refused proofs (`server/attestation/node_attestations.ts`). */
const [EVENTS_AT_ONCE, SECONDS_PER_EVENT] = [30, 2];
/** Tokens that are stored during the attack although the answer is counted before or after it. */
const TOKENS_IN_FLIGHT = 2;

/** Lists all broken promises, one line each. */
export function findFaults(rounds: readonly (readonly Observation[])[], scale: number): readonly string[] {
  return [
    ...rounds.flat().flatMap((one) => findFaultsInOne(one, scale)),
    ...[findGrowth(rounds)].filter((fault) => fault !== undefined),
  ];
}

/** Returns the limit for the memory of the server, in megabytes. */
export function maxRssMb(scale: number): number {
  return Math.round(IDLE_MB + ATTACKED_MB * scale);
}

function findFaultsInOne(observation: Observation, scale: number): readonly string[] {
  const { attack, tally, rss, answers } = observation;
  const failed = answers.filter(({ code }) => code !== 200).map(({ kind, code }) => `${kind} ${code}`);
  return [
    ...findShortfalls(attack, tally, scale),
    ...(failed.length === 0 ? [] : [`${failed.length} honest requests failed: ${failed.slice(0, 5).join(", ")}`]),
    ...findMissingKinds(answers).map((kind) => `no answers of the kind ${kind}`),
    ...(rss.peak > maxRssMb(scale) ? [`${rss.peak} MB of memory, ${maxRssMb(scale)} are allowed`] : []),
    ...findLogFaults(observation),
    ...findStorageFaults(observation),
  ].map((fault) => `${attack.name}: ${fault}`);
}

/** Finds messages that are logged too often. Each request and each issued certificate may be logged. */
function findLogFaults({ log, seconds, answers, tally }: Observation): readonly string[] {
  const certificates = answers.filter(({ kind }) => kind === "node").length + tally.created;
  const maxLines = LINES_PER_WINDOW * (Math.ceil(seconds / WINDOW_SECONDS) + 1) + certificates;
  const messages = Object.keys(log);
  return [
    ...Object.entries(log).filter(([, count]) => count > maxLines).map(([message, count]) =>
      `${count} lines of "${message}" in the log, ${maxLines} are allowed`
    ),
    ...(messages.length > MAX_MESSAGES ? [`${messages.length} messages in the log, ${MAX_MESSAGES} are allowed`] : []),
  ];
}

/** Finds too many stored objects: wrong proofs may store only a few Events. */
function findStorageFaults({ stored, seconds, answers }: Observation): readonly string[] {
  const tokens = answers.filter(({ kind }) => kind === "proof").length + TOKENS_IN_FLIGHT;
  const events = EVENTS_AT_ONCE + Math.ceil(seconds / SECONDS_PER_EVENT);
  return [
    ...(stored.secrets > tokens ? [`${stored.secrets} Secrets were stored, ${tokens} are allowed`] : []),
    ...(stored.refusals > events ? [`${stored.refusals} Events were stored, ${events} are allowed`] : []),
  ];
}

/** Finds memory that grew too much between the last two rounds. */
export function findGrowth(rounds: readonly (readonly Observation[])[]): string | undefined {
  if (rounds.length < 2) return undefined;
  const peaks = rounds.map(findPeak);
  const [before = 0, last = 0] = peaks.slice(-2);
  if (last <= Math.max(before * MAX_GROWTH, before + MAX_GROWTH_MB)) return undefined;
  return `memory grows: ${peaks.join(", ")} MB at the peak of each round`;
}
