/** Finds out what a TARGET of `tlsboot doctor` is, and which targets there are without one. */
import { readdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { AppError } from "../../../core/errors.ts";
import type { ExamineDeps } from "./examine.ts";
import { readFound } from "./files.ts";

/** A target and what it is, with absolute paths. */
export type DoctorTarget =
  | { readonly kind: "data directory"; readonly path: string }
  | { readonly kind: "CA folder"; readonly path: string }
  | { readonly kind: "file"; readonly path: string };

/** Recognizes a target. Throws AppError `not_found` and `invalid`. */
export async function recognizeTarget(name: string, deps: ExamineDeps): Promise<DoctorTarget> {
  const path = resolve(deps.io.cwd, name);
  const facts = await deps.files.stat(path);
  if (facts === undefined) {
    throw new AppError("not_found", `cannot check "${name}": there is no such file or folder`, {
      hint: "name a data directory, a folder of certificates, a kubeconfig or a PEM file",
    });
  }
  if (facts.kind !== "directory") {
    if (await readFound(path, deps) !== undefined) return { kind: "file", path };
    throw new AppError("invalid", `cannot check "${name}": no certificate, key or kubeconfig is in it`);
  }
  const names = await readdir(path);
  const pki = names.includes("pki") ? await readdir(join(path, "pki")).catch(() => []) : [];
  if (
    names.includes("tlsboot.db") || names.includes("etcd.yaml") || (pki.includes("ca.crt") && names.includes("format"))
  ) {
    return { kind: "data directory", path };
  }
  if (names.some((one) => /\.(?:crt|key|pem)$/.test(one))) return { kind: "CA folder", path };
  if (pki.includes("ca.crt")) return { kind: "data directory", path };
  throw new AppError("invalid", `cannot check "${name}": no certificate, key or database of tlsboot is in it`, {
    hint: "name a data directory, or a folder such as /etc/kubernetes/pki",
  });
}

/** Finds the targets of a run without arguments. Throws AppError `not_found` when there are none. */
export async function findTargets(deps: ExamineDeps): Promise<readonly string[]> {
  const names = ["./tlsboot-data"];
  const found = [];
  for (const name of names) {
    if (await deps.files.stat(resolve(deps.io.cwd, name)) !== undefined) found.push(name);
  }
  if (found.length > 0) return found;
  throw new AppError("not_found", "cannot check anything: there is no ./tlsboot-data here", {
    hint: "name what to check: tlsboot doctor DIR",
  });
}
