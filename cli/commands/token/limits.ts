/** The limits of a new token: read from the flags, and those that a server does not enforce. */
import { resolve } from "node:path";
import type { FilePort } from "../../../client/files.ts";
import type { ApiClient } from "../../../client/objects/api.ts";
import { AppError } from "../../../core/errors.ts";
import { encodeTokenLimits, type TokenLimits } from "../../../core/token/bound_token.ts";
import type { NodeName } from "../../../core/machine/node_name.ts";
import { warn } from "../../framework/report.ts";
import type { Io } from "../../io.ts";
import { err, ok, type Result } from "../../../core/lib/result.ts";
import { toResult } from "../../../core/pki/asn1/der.ts";
import { findPemBlock } from "../../../core/pki/asn1/pem.ts";
import { parsePublicKey } from "../../../core/pki/keys/public_key.ts";
import { type PublicKeyPin, publicKeyPin } from "../../../core/pki/keys/public_key_pin.ts";
import { parseCertificate } from "../../../core/pki/x509/certificate.ts";
import { parseCertificationRequest } from "../../../core/pki/x509/pkcs10.ts";

export interface LimitSettings {
  readonly uses: number | undefined;
  readonly cidr: TokenLimits["networks"];
  /** The path of a file with a public key. */
  readonly publicKey: string | undefined;
  readonly approve: boolean;
}

/** Reads the limits from the flags. AppError for the file of the key. */
export async function readLimits(
  settings: LimitSettings,
  node: NodeName | undefined,
  { files, cwd }: { readonly files: Pick<FilePort, "readText">; readonly cwd: string },
): Promise<TokenLimits> {
  const { uses, cidr, publicKey: path, approve } = settings;
  const publicKey = path === undefined ? undefined : await readKey(resolve(cwd, path), files);
  const maxKeys = uses ?? (node === undefined && publicKey === undefined ? undefined : 1);
  return {
    ...(node === undefined ? {} : { node }),
    ...(maxKeys === undefined ? {} : { maxKeys }),
    networks: cidr,
    ...(publicKey === undefined ? {} : { publicKey }),
    isApproval: approve,
  };
}

async function readKey(path: string, files: Pick<FilePort, "readText">) {
  const text = await files.readText(path);
  const key = text === undefined ? undefined : readPublicKeyPin(text);
  if (key?.ok === true) return key.value;
  throw new AppError("key_invalid", `cannot use the public key in "${path}": ${key?.error ?? "file does not exist"}`, {
    hint: "print it on the machine with: tlsboot bootstrap --print-public-key; for any other key with: " +
      "openssl pkey -in KEY -pubout",
  });
}

/** Warns about the limits that the server does not enforce, because it is no server of tlsboot. */
export async function warnUnenforced(api: ApiClient, limits: TokenLimits, io: Io, signal: AbortSignal): Promise<void> {
  if (Object.keys(encodeTokenLimits(limits)).length === 0) return;
  const { gitVersion = "" } = await api.requestJson({ method: "GET", path: "/version" }, signal) as {
    readonly gitVersion?: string;
  };
  if (gitVersion.includes("+tlsboot.")) return;
  const { node, maxKeys, networks, isApproval } = limits;
  if (networks.length > 0) {
    warn(`${gitVersion} does not enforce --cidr: it accepts the token from any address`, io);
  }
  if (maxKeys === undefined) return;
  const what = node === undefined ? "the number of keys" : "the node and the number of keys";
  warn(
    `${gitVersion} does not enforce ${what}, nor that a used token ends: run tlsboot approver --token-limits` +
      `${
        isApproval ? ", which also approves by this token" : ""
      }, and see that no other approver approves requests of ` +
      "the token's groups, as kube-controller-manager does for groups bound to nodeclient",
    io,
  );
}

/** Reads the pin of a key from the first PEM block of a file: a public key, or a request or certificate for it. */
export function readPublicKeyPin(pem: string): Result<PublicKeyPin, string> {
  const block = findPemBlock(pem)?.block;
  switch (block?.label) {
    case "PUBLIC KEY": {
      const key = toResult(() => parsePublicKey(block.bytes));
      return key.ok ? ok(publicKeyPin({ publicKeyDer: block.bytes })) : key;
    }
    case "CERTIFICATE REQUEST": {
      const request = parseCertificationRequest(block.bytes);
      return request.ok ? ok(publicKeyPin(request.value)) : request;
    }
    case "CERTIFICATE": {
      const certificate = parseCertificate(block.bytes);
      return certificate.ok ? ok(publicKeyPin(certificate.value)) : certificate;
    }
  }
  return err("want a PEM block of type PUBLIC KEY, CERTIFICATE REQUEST or CERTIFICATE");
}
