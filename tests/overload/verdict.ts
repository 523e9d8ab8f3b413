/** The promises of the server under attack, compared with the observations. */
import { lacking } from "./attack.ts";
import { findPeak, KINDS, missingKinds, type Observation, summarizeTimes } from "./observation.ts";

/**
 * No kind of honest request may take longer than this under an attack, all rounds together, but for one in a hundred: of
 * a hundred answers or fewer none may. A certificate is three answers or more.
 */
export const MAX_HONEST_P99_MS = 20_000;

/** The number of lines that `server/log_limiter.ts` passes of each message within its period. */
const LINES = 20;
const WINDOW_SECONDS = 10;
/**
 * More messages than the server has for all that unauthenticated clients do; messages made of client input would be
 * unlimited.
 */
const MOST_MESSAGES = 20;

/**
 * The memory of an idle server that has been used for a while, with the garbage that V8 has not collected: the faster it
 * allocates, the more. A twentieth of the attacks left 250 MB on a busy machine and 340 on a quiet one.
 */
const IDLE_MB = 350;
/**
 * The memory that attacks may add, all of it as the memory of one is not all used by the next: 10,000 connections
 * without a handshake, 10,000 authenticated ones, bodies in pieces and joined, a batch of each
 * watch, and the history of what they create (`server/storage/memory/engine.ts`).
 */
const ATTACKED_MB = 10_000 * 0.04 + 10_000 * 0.08 + 2 * 128 + 500 * 0.25 + 256;
/**
 * The factor by which a round may grow the memory of the round before. malloc cannot reuse all of what was freed: six
 * times the same flood took an eighth more than one, twenty a fifth more, and from then on next to nothing is added
 * (docs/engineering/measurements.md). A leak keeps growing.
 */
const MAX_GROWTH = 1.2;
/** The growth in megabytes that is always allowed: history and compiled code weigh as much at any scale. */
const MAX_GROWTH_MB = 80;

/** Events about refused proofs, at once and then one each so many seconds (`server/attestation/node_attestations.ts`). */
const [EVENTS_AT_ONCE, SECONDS_OF_EVENT] = [30, 2];
/** Tokens that are stored although the answer is counted before or after the attack. */
const TOKENS_ON_THEIR_WAY = 2;

/** Finds everything that is wrong, as one line each. */
export function findFaults(rounds: readonly (readonly Observation[])[], scale: number): readonly string[] {
  return [
    ...rounds.flat().flatMap((one) => findFaultsInOne(one, scale)),
    ...lateFaults(rounds),
    ...[findGrowth(rounds)].filter((fault) => fault !== undefined),
  ];
}

/** The most memory, in megabytes, that a server may have at a scale. */
export function maxRssMb(scale: number): number {
  return Math.round(IDLE_MB + ATTACKED_MB * scale);
}

function findFaultsInOne(observation: Observation, scale: number): readonly string[] {
  const { attack, tally, rss, answers } = observation;
  const failed = answers.filter(({ code }) => code !== 200).map(({ kind, code }) => `${kind} ${code}`);
  return [
    ...lacking(attack, tally, scale),
    ...(failed.length === 0 ? [] : [`${failed.length} honest requests failed: ${failed.slice(0, 5).join(", ")}`]),
    ...missingKinds(answers).map((kind) => `no answers of the kind ${kind}`),
    ...(rss.peak > maxRssMb(scale) ? [`${rss.peak} MB of memory, ${maxRssMb(scale)} are allowed`] : []),
    ...logFaults(observation),
    ...storedFaults(observation),
  ].map((fault) => `${attack.name}: ${fault}`);
}

/** Finds attacks with late answers over all rounds: one round has too few answers for one in a hundred. */
function lateFaults(rounds: readonly (readonly Observation[])[]): readonly string[] {
  return (rounds[0] ?? []).flatMap(({ attack }, index) => {
    const answers = rounds.flatMap((round) => round[index]?.answers ?? []);
    return KINDS.map((kind) => ({ kind, p99: summarizeTimes(answers, kind).p99 }))
      .filter(({ p99 }) => p99 > MAX_HONEST_P99_MS)
      .map(({ kind, p99 }) => `${attack.name}: ${kind} waited ${p99.toFixed(0)} ms, ${MAX_HONEST_P99_MS} are allowed`);
  });
}

/** Requested and issued certificates may be logged each time; other messages may not repeat. */
function logFaults({ log, seconds, answers, tally }: Observation): readonly string[] {
  const certificates = answers.filter(({ kind }) => kind === "node").length + tally.created;
  const most = LINES * (Math.ceil(seconds / WINDOW_SECONDS) + 1) + certificates;
  const messages = Object.keys(log);
  return [
    ...Object.entries(log).filter(([, count]) => count > most).map(([message, count]) =>
      `${count} lines of "${message}" in the log, ${most} are allowed`
    ),
    ...(messages.length > MOST_MESSAGES
      ? [`${messages.length} messages in the log, ${MOST_MESSAGES} are allowed`]
      : []),
  ];
}

/** A wrong proof may store nothing but a limited number of Events. */
function storedFaults({ stored, seconds, answers }: Observation): readonly string[] {
  const tokens = answers.filter(({ kind }) => kind === "proof").length + TOKENS_ON_THEIR_WAY;
  const events = EVENTS_AT_ONCE + Math.ceil(seconds / SECONDS_OF_EVENT);
  return [
    ...(stored.secrets > tokens ? [`${stored.secrets} Secrets were stored, ${tokens} are allowed`] : []),
    ...(stored.refusals > events ? [`${stored.refusals} Events were stored, ${events} are allowed`] : []),
  ];
}

/** Finds memory that grew too much from the last round but one to the last. */
export function findGrowth(rounds: readonly (readonly Observation[])[]): string | undefined {
  if (rounds.length < 2) return undefined;
  const peaks = rounds.map(findPeak);
  const [before = 0, last = 0] = peaks.slice(-2);
  if (last <= Math.max(before * MAX_GROWTH, before + MAX_GROWTH_MB)) return undefined;
  return `memory grows: ${peaks.join(", ")} MB at most, each time that everything was done`;
}
