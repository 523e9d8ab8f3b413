/** The removal of old records: a run of records whose certificates ended long ago becomes one stub, which keeps the chain. */
import { formatTime } from "../kube/meta.ts";
import type { IssuedCertificateSpec } from "../kube/kinds/tlsboot_v1alpha1.ts";
import { getChainHash } from "./record.ts";

/** The part of a record that the plan of a removal reads. */
export type PrunableRecord = Pick<IssuedCertificateSpec, "sequence" | "notAfter" | "removed">;

/** A run of records to remove, by sequence numbers. */
export interface PrunableRun {
  readonly first: number;
  /** The record that the stub replaces. */
  readonly last: number;
}

/**
 * Plans which runs of records become stubs: those whose certificates ended before `endedBefore`. A stub before or after such
 * a record is part of its run. Records of an unknown end stay.
 *
 * @param records all records in their order
 */
export function planPruning(records: Iterable<PrunableRecord>, endedBefore: Date): readonly PrunableRun[] {
  const runs: PrunableRun[] = [];
  let run: { first: number; last: number; count: number; stubs: number } | undefined;
  const endRun = (): void => {
    // A stub alone is a run that was removed earlier.
    if (run !== undefined && (run.count > 1 || run.stubs === 0)) runs.push({ first: run.first, last: run.last });
    run = undefined;
  };
  for (const { sequence, notAfter, removed } of records) {
    const isStub = removed !== undefined;
    if (isStub || (notAfter !== null && Date.parse(notAfter) < endedBefore.getTime())) {
      run ??= { first: sequence, last: sequence, count: 0, stubs: 0 };
      run.last = sequence;
      run.count += 1;
      run.stubs += isStub ? 1 : 0;
    } else endRun();
  }
  endRun();
  return runs;
}

/**
 * Creates the stub of a run from its first and its last record. It replaces the last record; then the others are removed, the
 * newest first, so that a removal that is interrupted breaks nothing.
 */
export function createStub(
  first: IssuedCertificateSpec,
  last: IssuedCertificateSpec,
  now: Date,
): IssuedCertificateSpec {
  const { previousHash } = first;
  return {
    sequence: last.sequence,
    ...(previousHash === undefined ? {} : { previousHash }),
    notBefore: null,
    notAfter: null,
    issuedAt: null,
    removed: { from: first.removed?.from ?? first.sequence, hash: getChainHash(last), time: formatTime(now) },
  };
}
