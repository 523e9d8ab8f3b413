/** What the server promises under attack, held against what was seen. */
import { KINDS, missingKinds } from "./account.ts";
import { lacking } from "./attack.ts";
import { type Observation, peakOf, timesOf } from "./observation.ts";

/** No kind of honest request may take longer than this, but for one in a hundred; a certificate is three or more. */
export const MAX_HONEST_P99_MS = 15_000;

/** Of each message `server/repeated_lines.ts` lets so many lines pass in so many seconds. */
const LINES = 20;
const WINDOW_SECONDS = 10;
/** More than the server has for all that strangers do; a message that is made up of what they send has no end. */
const MOST_MESSAGES = 20;

/** An idle server with what it has when it has been used for a while. */
const IDLE_MB = 300;
/**
 * What attacks may add, all of it as the memory of one is not all used by the next: 10,000 connections without a
 * handshake, 10,000 of somebody, bodies as they come and as they are put together, and a batch of each watch.
 */
const ATTACKED_MB = 10_000 * 0.04 + 10_000 * 0.08 + 2 * 128 + 500 * 0.25;
/**
 * What malloc can give out again is not all of what was given back: the second time takes up to an eighth more, each
 * later time less than the one before, and after some twenty times nothing is added. A leak goes on.
 */
const MAX_GROWTH = 1.2;

/** All that is wrong, a line each. */
export function findFaults(rounds: readonly (readonly Observation[])[], scale: number): readonly string[] {
  return [...rounds.flat().flatMap((one) => faultsOf(one, scale)), ...growthFaults(rounds)];
}

/** The most memory, in megabytes, that a server may have at a scale. */
export function maxRssMb(scale: number): number {
  return Math.round(IDLE_MB + ATTACKED_MB * scale);
}

function faultsOf(observation: Observation, scale: number): readonly string[] {
  const { attack, tally, rss, answers } = observation;
  const failed = answers.filter(({ code }) => code !== 200).map(({ kind, code }) => `${kind} ${code}`);
  const late = KINDS.map((kind) => ({ kind, ...timesOf(answers, kind) })).filter(({ p99 }) => p99 > MAX_HONEST_P99_MS);
  return [
    ...lacking(attack, tally, scale),
    ...(failed.length === 0 ? [] : [`${failed.length} honest requests failed: ${failed.slice(0, 5).join(", ")}`]),
    ...missingKinds(answers).map((kind) => `nobody answered ${kind}`),
    ...late.map(({ kind, p99 }) => `${kind} waited ${p99.toFixed(0)} ms, ${MAX_HONEST_P99_MS} are allowed`),
    ...(rss.peak > maxRssMb(scale) ? [`${rss.peak} MB of memory, ${maxRssMb(scale)} are allowed`] : []),
    ...logFaults(observation),
  ].map((fault) => `${attack.name}: ${fault}`);
}

/** What is asked for and issued may be told of each time. */
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

function growthFaults([first, ...later]: readonly (readonly Observation[])[]): readonly string[] {
  if (first === undefined) return [];
  return later.filter((round) => peakOf(round) > peakOf(first) * MAX_GROWTH).map((round) =>
    `memory grows: ${peakOf(first)} MB at most the first time, ${peakOf(round)} MB when everything was done again`
  );
}
