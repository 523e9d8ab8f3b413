/** The attacks on the server. They write to sockets directly, are bounded and counted, and depend only on the seed. */
import type { Attack } from "./attack.ts";
import {
  badTokens,
  continuations,
  endlessHeaders,
  expensiveBodies,
  flood,
  FLOODERS,
  pings,
  rapidReset,
  requests,
  wrongProofs,
} from "./floods.ts";
import {
  holdIdle,
  holdKnown,
  holdSilent,
  largeBodies,
  slowBodies,
  slowHeaders,
  unreadAnswers,
  unreadWatches,
} from "./slowness.ts";

export const ATTACKS: readonly Attack[] = [
  {
    name: "10,000 connections without a handshake",
    unit: "",
    required: { opened: 10_000 },
    run: (target) => holdSilent(10_000, target),
  },
  {
    name: "10,000 idle TLS connections",
    unit: "",
    required: { opened: 10_000 },
    run: (target) => holdIdle(10_000, target),
  },
  {
    name: "10,000 idle authenticated connections",
    unit: "",
    required: { opened: 10_000, answered: 10_000 },
    run: (target) => holdKnown(10_000, target),
  },
  {
    name: "1,000 requests byte by byte",
    unit: "bytes",
    required: { opened: 1_000, sent: 1_000 },
    run: (target) => slowHeaders(1_000, target),
  },
  {
    name: "1,000 bodies that never end",
    unit: "requests",
    required: { sent: 1_000 },
    run: (target) => slowBodies(1_000, target),
  },
  {
    name: "200 bodies of 3 MB at once, unfinished",
    unit: "pieces",
    // The server has a budget of 128 MiB for all bodies (`server/flowcontrol/body_budget.ts`), which is 2,048 pieces.
    required: { opened: 200, sent: 2_000 },
    run: (target) => largeBodies(200, target),
  },
  {
    name: "2,000 large answers that are not read",
    unit: "requests",
    required: { sent: 2_000, answered: 2_000 },
    run: (target) => unreadAnswers(2_000, target),
  },
  {
    name: "500 watches that are not read",
    unit: "requests",
    required: { sent: 500, answered: 500, created: 1_000 },
    run: (target) => unreadWatches(500, 1_000, target),
  },
  {
    name: "headers without end (CONTINUATION)",
    unit: "frames",
    required: { opened: FLOODERS, sent: 1_000, ended: FLOODERS },
    run: (target) => flood(target, continuations),
  },
  {
    name: "headers without end (HTTP/1.1)",
    unit: "headers",
    required: { opened: FLOODERS, sent: 1_000, ended: FLOODERS },
    run: (target) => flood(target, endlessHeaders, { protocol: "http/1.1" }),
  },
  {
    name: "rapid reset without a token",
    unit: "streams",
    required: { opened: FLOODERS, sent: 10_000, ended: FLOODERS },
    run: (target) => flood(target, rapidReset("nobody")),
  },
  {
    name: "rapid reset with a token",
    unit: "streams",
    // The limit for a user's cancelled requests ends them (`server/connections/connection_guard.ts`).
    required: { opened: FLOODERS, sent: 80_000, ended: FLOODERS },
    run: (target) => flood(target, rapidReset(target.token)),
  },
  {
    name: "PING and SETTINGS",
    unit: "frames",
    required: { opened: FLOODERS, sent: 10_000 },
    run: (target) => flood(target, pings, { protocol: "h2", isReading: false }),
  },
  {
    name: "100,000 bad tokens",
    unit: "tokens",
    required: { sent: 100_000, answered: 100_000 },
    run: (target) => badTokens(100_000, target),
  },
  {
    name: "wrong proofs of machines",
    unit: "calls",
    // The server serves a hundred calls a second, and a proof needs two (`server/attestation/node_attestations.ts`).
    required: { sent: 10_000, answered: 500 },
    run: wrongProofs,
  },
  {
    name: "requests with a token, as many as fit",
    unit: "requests",
    required: { opened: FLOODERS, sent: 10_000, answered: 2_000 },
    run: (target) => flood(target, requests),
  },
  {
    name: "bodies with 29,000 faults, as many as fit",
    unit: "bodies",
    required: { opened: FLOODERS, sent: 40, answered: 40 },
    run: (target) => flood(target, expensiveBodies, { protocol: "http/1.1", code: 422 }),
  },
  {
    name: "handshakes, as many as fit",
    unit: "",
    required: { opened: 1_000 },
    run: (target) => flood(target, () => Promise.resolve()),
  },
];
