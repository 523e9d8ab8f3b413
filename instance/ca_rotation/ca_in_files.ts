/**
 * Rotates a CA that exists in files only, such as kubeadm's in `/etc/kubernetes/pki`. The rotation is a record in the
 * folder of the CA, and the census reads the files around it, the cluster, and the issued log of a signer.
 */
import { resolve } from "node:path";
import { AppError } from "../../core/errors.ts";
import type { CaRotation, CaRotationSpec } from "../../core/kube/kinds/tlsboot_v1alpha1.ts";
import { shellWord } from "../../core/lib/printable.ts";
import { planCaRotationStatus } from "../../core/ca_rotation/rotation_rules.ts";
import { takePlaceCensus } from "../../core/ca_rotation/census.ts";
import { applyChange, type ReplaceableCa } from "../../core/ca_rotation/steps.ts";
import { toRetiredPaths, toSlotPaths } from "../authority/ca_swap.ts";
import { readAuthority } from "../authority/files.ts";
import {
  getRotatedCas,
  getRotationPaths,
  readRotationRecord,
  removeRotationRecord,
  retireUnrecorded,
  storeRotationRecord,
} from "../authority/rotation_record.ts";
import { readPlaces } from "../authority/cluster_places.ts";
import { readClientCaFingerprints } from "../../client/admin/ca_rotations.ts";
import { readIssuedLog } from "../../client/admin/record_source.ts";
import type { ApiConnection } from "../../client/objects/api.ts";
import type { Connect } from "../../client/transport/connect.ts";
import type { CaKeys } from "../authority/keys.ts";
import type { RotationDeps } from "./server_ca.ts";

/** The settings with the files of the CA and of its issued log. */
export interface CaInFilesSettings {
  readonly caCert: string;
  /** Without it, the path of the certificate that ends with `.key`. */
  readonly caKey: string | undefined;
  readonly issuedLog: string | undefined;
}

interface CaInFilesPorts extends RotationDeps {
  readonly keys: CaKeys;
  readonly connect: Connect;
  /** Connects to the cluster that uses the CA; undefined without one. */
  readonly openApi: (() => Promise<ApiConnection>) | undefined;
  /** Formats a path for the operator. */
  readonly show: (path: string) => string;
}

export function openCaInFiles(
  { caCert, caKey = caCert.replace(/\.[^./]*$/, ".key"), issuedLog }: CaInFilesSettings,
  ports: CaInFilesPorts,
): Omit<ReplaceableCa, "command"> {
  const { clock, cwd, files, keys, openApi, show, signal, warn } = ports;
  const signing = { certificate: resolve(cwd, caCert), key: resolve(cwd, caKey) };
  const paths = getRotationPaths(signing);
  const deps = {
    files,
    verify: async (pair: typeof signing): Promise<void> => void await readAuthority(pair, files, keys),
  };

  async function* records() {
    if (issuedLog === undefined) return;
    for await (const { record } of readIssuedLog(resolve(cwd, issuedLog), signal)) yield record;
  }

  /** Refuses a switch after which kube-apiserver would refuse the clients of the new CA. */
  async function assertClientsTrusted(rotation: CaRotation): Promise<void> {
    if (openApi === undefined) {
      warn("without the setting kubeconfig nothing checks whether kube-apiserver trusts the new CA for clients");
      return;
    }
    await using connection = await openApi();
    const trusted = await readClientCaFingerprints(connection.api, signal);
    if (trusted === undefined) {
      throw new AppError("invalid", "cannot switch: the CAs that kube-apiserver trusts for clients cannot be read", {
        hint: "give the setting kubeconfig of a user who may get the configmap extension-apiserver-authentication in " +
          "kube-system",
      });
    }
    if (trusted.has(getRotatedCas(rotation).newCa.certificate.sha256Fingerprint)) return;
    throw new AppError("invalid", "cannot switch: kube-apiserver would refuse clients of the new CA", {
      hint: `start kube-apiserver with --client-ca-file ${show(paths.bundle)}`,
    });
  }

  function change(rotation: CaRotation | undefined, spec: CaRotationSpec): CaRotation {
    const { renewFrom: _from, renewBy: _by, ...kept } = spec;
    const status = planCaRotationStatus(spec, rotation, clock.now());
    const { switchedAt = status.switchedAt } = rotation?.status ?? {};
    return {
      metadata: { name: paths.name },
      spec: kept,
      status: switchedAt === undefined ? status : { ...status, switchedAt },
    };
  }

  function describeRetiredKey(fingerprint: string): string {
    return keys.hasProgram
      ? "that the program for CA keys holds"
      : `with: shred -u ${shellWord(show(toRetiredPaths(signing, fingerprint).key))}`;
  }

  /** Retires the new CA of a `begin` that was killed before it wrote the record, except for the one to keep. */
  async function retireAbandoned(kept?: string): Promise<void> {
    const fingerprint = await retireUnrecorded(paths, deps, kept);
    if (fingerprint === undefined) return;
    warn(
      `an earlier begin was stopped, and its new CA is not used: destroy its key ${describeRetiredKey(fingerprint)}`,
    );
  }

  return {
    name: paths.name,
    paths: signing,
    assertPresent: () => Promise.resolve(),
    read: () => readRotationRecord(paths, files),
    census: async (rotation) => {
      await using connection = await openApi?.();
      const places = await readPlaces({ ...ports, rotation, paths, connection, records: records() });
      return takePlaceCensus(places, rotation, clock.now());
    },
    records,
    async begin(spec, keyPem) {
      const rotation = change(undefined, spec);
      await retireAbandoned(getRotatedCas(rotation).newCa.certificate.sha256Fingerprint);
      await storeRotationRecord(rotation, paths, deps, { certificatePem: spec.newCA, keyPem });
      return rotation;
    },
    async advance(rotation, requested) {
      const { step } = rotation.spec;
      if (requested?.step === "Switch" && step === "Trust") await assertClientsTrusted(rotation);
      if (requested?.step === "Finish" && step === "Switch" && openApi === undefined && issuedLog === undefined) {
        throw new AppError("usage", "finish must know who would lose access", {
          hint:
            "give the setting kubeconfig of an administrator, and the setting issuedLog of the signer if it keeps one",
        });
      }
      const spec = requested === undefined ? undefined : applyChange(rotation.spec, requested, step);
      const next = spec === undefined ? rotation : change(rotation, spec);
      await storeRotationRecord(next, paths, deps);
      return next;
    },
    async end(rotation) {
      if (rotation === undefined) await retireAbandoned();
      else await removeRotationRecord(rotation, paths, deps);
      return true;
    },
    describeFollowers({ spec: { step } }) {
      const other = step === "Trust" ? "next" : step === "Switch" ? "old" : undefined;
      const second = other === undefined
        ? ""
        : `, ${show(toSlotPaths(signing, other).certificate)} is the ${other === "next" ? "new" : "old"} CA`;
      return ["Files", `${show(caCert)} signs${second}, ${show(paths.bundle)} has what must be trusted`];
    },
    isAdopted: () => true,
    describeRetiredKey,
  };
}
