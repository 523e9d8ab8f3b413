/**
 * Rotates a CA that exists in files only, such as kubeadm's in `/etc/kubernetes/pki`. The rotation is a record in the
 * folder of the CA, and the census reads the files around it, the cluster, and the issued log of a signer.
 */
import { resolve } from "node:path";
import { AppError } from "../../../core/errors.ts";
import type { CaRotation, CaRotationSpec } from "../../../core/kube/kinds/tlsboot_v1alpha1.ts";
import { shellWord } from "../../../core/lib/printable.ts";
import { planCaRotationStatus } from "../../../core/ca_rotation/rotation_rules.ts";
import { takePlaceCensus } from "../../../core/ca_rotation/census.ts";
import { applyChange, type ReplaceableCa } from "../../../core/ca_rotation/steps.ts";
import { toRetiredPaths, toSlotPaths } from "../../../instance/authority/ca_swap.ts";
import { readAuthority } from "../../../instance/authority/files.ts";
import {
  getRotatedCas,
  getRotationPaths,
  readRotationRecord,
  removeRotationRecord,
  retireUnrecorded,
  storeRotationRecord,
} from "../../../instance/authority/rotation_record.ts";
import { warn } from "../../framework/report.ts";
import type { Tools } from "../../io.ts";
import { displayPath } from "../../output/files.ts";
import { readPlaces } from "../../../instance/authority/cluster_places.ts";
import { readClientCaFingerprints } from "../../../client/admin/ca_rotations.ts";
import { connect } from "../../connection.ts";
import { readIssuedLog } from "../../../client/admin/record_source.ts";
import { formatRotate } from "./rotate_flags.ts";
import { UsageError } from "../../exit_code.ts";
import { type CaKeySettings, createCaKeys } from "../../passphrases/passphrase.ts";

/** The settings with the files of the CA and the sources of the census. */
export interface CaInFilesSettings extends Partial<CaKeySettings> {
  readonly caCert: string;
  /** Without it, the path of the certificate that ends with `.key`. */
  readonly caKey: string | undefined;
  readonly kubeconfig: string | undefined;
  readonly context?: string | undefined;
  readonly issuedLog: string | undefined;
}

export function openCaInFiles(settings: CaInFilesSettings, tools: Tools): ReplaceableCa {
  const { files, signal } = tools;
  const { caCert, caKey = caCert.replace(/\.[^./]*$/, ".key"), kubeconfig, context, issuedLog } = settings;
  const signing = { certificate: resolve(tools.cwd, caCert), key: resolve(tools.cwd, caKey) };
  const paths = getRotationPaths(signing);
  const keys = createCaKeys(settings, tools);
  const deps = {
    files,
    verify: async (pair: typeof signing): Promise<void> => void await readAuthority(pair, files, keys),
  };
  const show = (path: string): string => displayPath(path, tools.cwd);
  const cluster = { kubeconfig, context, dataDir: "" };

  async function* records() {
    if (issuedLog === undefined) return;
    for await (const { record } of readIssuedLog(resolve(tools.cwd, issuedLog), signal)) yield record;
  }

  /** Refuses a switch after which kube-apiserver would refuse the clients of the new CA. */
  async function assertClientsTrusted(rotation: CaRotation): Promise<void> {
    if (kubeconfig === undefined) {
      warn("without --kubeconfig nothing checks whether kube-apiserver trusts the new CA for clients", tools);
      return;
    }
    await using connection = await connect(cluster, tools);
    const trusted = await readClientCaFingerprints(connection.api, signal);
    if (trusted === undefined) {
      throw new AppError("invalid", "cannot switch: the CAs that kube-apiserver trusts for clients cannot be read", {
        hint:
          "give the --kubeconfig of a user who may get the configmap extension-apiserver-authentication in kube-system",
      });
    }
    if (trusted.has(getRotatedCas(rotation).newCa.certificate.sha256Fingerprint)) return;
    throw new AppError("invalid", "cannot switch: kube-apiserver would refuse clients of the new CA", {
      hint: `start kube-apiserver with --client-ca-file ${show(paths.bundle)}`,
    });
  }

  function change(rotation: CaRotation | undefined, spec: CaRotationSpec): CaRotation {
    const { renewFrom: _from, renewBy: _by, ...kept } = spec;
    const status = planCaRotationStatus(spec, rotation, tools.clock.now());
    const { switchedAt = status.switchedAt } = rotation?.status ?? {};
    return {
      metadata: { name: paths.name },
      spec: kept,
      status: switchedAt === undefined ? status : { ...status, switchedAt },
    };
  }

  function describeRetiredKey(fingerprint: string): string {
    return settings.signingKeyCommand === undefined
      ? `with: shred -u ${shellWord(show(toRetiredPaths(signing, fingerprint).key))}`
      : "that the program of --signing-key-command holds";
  }

  /** Retires the new CA of a `begin` that was killed before it wrote the record, except for the one to keep. */
  async function retireAbandoned(kept?: string): Promise<void> {
    const fingerprint = await retireUnrecorded(paths, deps, kept);
    if (fingerprint === undefined) return;
    warn(
      `an earlier begin was stopped, and its new CA is not used: destroy its key ${describeRetiredKey(fingerprint)}`,
      tools,
    );
  }

  return {
    name: paths.name,
    paths: signing,
    assertPresent: () => Promise.resolve(),
    read: () => readRotationRecord(paths, files),
    census: async (rotation) => {
      await using connection = kubeconfig === undefined ? undefined : await connect(cluster, tools);
      const places = await readPlaces({ ...tools, rotation, paths, connection, show, records: records() });
      return takePlaceCensus(places, rotation, tools.clock.now());
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
      if (requested?.step === "Finish" && step === "Switch" && kubeconfig === undefined && issuedLog === undefined) {
        throw new UsageError(
          "finish must know who would lose access",
          "give --kubeconfig of an administrator, and --issued-log of the signer if it keeps one",
        );
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
    command: (verb) => formatRotate(verb, [], { ...settings, dataDir: undefined }),
    describeRetiredKey,
  };
}
