/** The steps of a CA rotation through the API, without the commands. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { createSystemRandom } from "../../cli/system.ts";
import type { ApiClient } from "../../client/objects/api.ts";
import { createWrappedKeySecret, crossSign, toWrappedKeyName, wrapKey } from "../../core/ca_rotation/new_ca.ts";
import { isAppError } from "../../core/errors.ts";
import type { CaRotation } from "../../core/kube/kinds/tlsboot_v1alpha1.ts";
import { DAY_MS } from "../../core/lib/duration.ts";
import { encodePem } from "../../core/pki/asn1/pem.ts";
import { createAuthority, parseAuthority } from "../../core/pki/authority/authority.ts";
import { generatePrivateKey } from "../../core/pki/keys/keys.ts";
import { encodeTrust } from "../../core/pki/x509/ca_bundle.ts";
import { eventually } from "./eventually.ts";
import { connectWith } from "./instance_process.ts";

const ROTATIONS = "/apis/tlsboot/v1alpha1/carotations";
const SECRETS = "/api/v1/namespaces/kube-system/secrets";
const signal = new AbortController().signal;
const random = createSystemRandom();

/** A rotation that has begun, with the PEM of both CAs. */
export interface TestRotation {
  readonly oldCa: string;
  readonly newCa: string;
}

/** Creates a new CA, a Secret with its key, and the CARotation, which finishes at once if the old key leaked. */
export async function beginRotation(
  api: ApiClient,
  data: string,
  name = "ca",
  isLeaked = false,
): Promise<TestRotation> {
  const read = (file: string) => readFile(join(data, "pki", file), "utf8");
  const oldCa = await read(`${name}.crt`);
  const old = await parseAuthority(oldCa, await read(`${name}.key`));
  assert.ok(old.ok);
  const key = await generatePrivateKey("ecdsa-p256");
  const next = await createAuthority({
    commonName: `tlsboot-${name}-2`,
    notBefore: new Date(Date.now() - 300_000),
    notAfter: new Date(old.value.certificate.notAfter.getTime() + DAY_MS),
    key,
    serial: random.bytes(16),
  });
  const crossed = await crossSign(next.certificate, old.value, {
    notBefore: new Date(Date.now() - 300_000),
    serial: random.bytes(16),
  });
  assert.ok(crossed.ok);
  const wrapped = wrapKey(key.toPem(), await read("sa.key"), random);
  assert.ok(wrapped.ok);
  const path = `${SECRETS}/${toWrappedKeyName(name)}`;
  await api.requestJson({ method: "DELETE", path }, signal).catch((error: unknown) => {
    if (!isAppError(error, "not_found")) throw error;
  });
  await api.requestJson(
    { method: "POST", path: SECRETS, body: createWrappedKeySecret(name, wrapped.value) },
    signal,
  );
  const newCa = encodeTrust(next);
  const crossSignedCA = encodePem("CERTIFICATE", crossed.value.der);
  const body = {
    apiVersion: "tlsboot/v1alpha1",
    kind: "CARotation",
    metadata: { name },
    spec: {
      oldCA: oldCa,
      newCA: newCa,
      ...(isLeaked ? { step: "Finish", isLeaked } : { step: "Trust", crossSignedCA }),
    },
  };
  await api.requestJson({ method: "POST", path: ROTATIONS, body }, signal);
  return { oldCa, newCa };
}

/** Requests a step, or changes other fields of the spec. */
export async function changeRotation(api: ApiClient, spec: object, name = "ca"): Promise<void> {
  const contentType = "application/merge-patch+json";
  await api.requestJson({ method: "PATCH", path: `${ROTATIONS}/${name}`, body: { spec }, contentType }, signal);
}

/** Waits until the server has adopted the requested step without an error. */
export async function waitUntilAdopted(api: ApiClient, name = "ca"): Promise<CaRotation> {
  return await eventually("the server has adopted the step", () => findAdopted(api, name));
}

/**
 * Requests the last step and waits until it is adopted. Meanwhile the server begins to refuse the administrator's
 * certificate, and writes a new one to the kubeconfig.
 */
export async function finishRotation(kubeconfig: string, name = "ca"): Promise<void> {
  {
    await using admin = await connectWith(kubeconfig);
    await changeRotation(admin.api, { step: "Finish" }, name);
  }
  await eventually("the server has finished", async () => {
    await using admin = await connectWith(kubeconfig);
    return await findAdopted(admin.api, name).catch(() => undefined);
  });
}

async function findAdopted(api: ApiClient, name: string): Promise<CaRotation | undefined> {
  const rotation = await getRotation(api, name);
  const adopted = (rotation.status.servers ?? []).filter(({ step, message }) =>
    step === rotation.spec.step && message === undefined
  );
  return adopted.length === 1 ? rotation : undefined;
}

export async function getRotation(api: ApiClient, name = "ca"): Promise<CaRotation> {
  return await api.requestJson({ method: "GET", path: `${ROTATIONS}/${name}` }, signal) as CaRotation;
}

/** Deletes the CARotation, as aborting a rotation does. */
export async function deleteRotation(api: ApiClient): Promise<void> {
  await api.requestJson({ method: "DELETE", path: `${ROTATIONS}/ca` }, signal);
}
