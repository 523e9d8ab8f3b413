/** Join files for the machines of an inventory: one file and one token for each. */
import { join } from "node:path";
import type { ApiClient } from "../../../client/objects/api.ts";
import type { FilePort } from "../../../client/files.ts";
import { parseInventory } from "../../../core/approval/inventory.ts";
import { formatJoinFile } from "../../../core/bootstrap/join_file.ts";
import type { JoinTarget } from "../../../core/bootstrap/join_command.ts";
import { type NodeName, parseNodeName } from "../../../core/bootstrap/node_name.ts";
import { AppError } from "../../../core/errors.ts";
import type { Io } from "../../io.ts";
import { displayPath } from "../../output/display_path.ts";
import { line } from "../../output/escape.ts";
import { FOLDER_MODE, SECRET_MODE } from "../../instance/data_dir.ts";
import { createUnknownNodeError, findExpiration, type PlannedToken, postToken, withdrawToken } from "./new_token.ts";

/** A machine and the token that is made for it. */
export interface JoiningMachine {
  readonly node: NodeName;
  readonly created: PlannedToken;
}

/**
 * Reads the machines of an inventory, or the one that is named. AppError `config_invalid` for a faulty file, `not_found`
 * for a machine that the file does not have.
 */
export async function readMachines(
  path: string,
  only: NodeName | undefined,
  files: Pick<FilePort, "readText">,
): Promise<readonly NodeName[]> {
  const text = await files.readText(path);
  if (text === undefined) throw new AppError("not_found", `cannot read inventory "${path}": no such file`);
  const inventory = parseInventory(text);
  if (!inventory.ok) {
    throw new AppError("config_invalid", inventory.error.map((fault) => `${path}: ${fault}`).join("\n"), {
      hint: "correct the file; docs/reference/policies.md describes an inventory",
    });
  }
  const names = [...inventory.value.keys()];
  if (only !== undefined && !names.includes(only)) {
    throw createUnknownNodeError(only, `the inventory "${path}"`, names);
  }
  const nodes: NodeName[] = [];
  for (const name of only === undefined ? names : [only]) {
    const node = parseNodeName(name);
    if (!node.ok || node.value !== name) {
      throw new AppError("config_invalid", `${path}: "${name}" cannot be the name of a node`, {
        hint: node.ok ? `write it as "${node.value}"` : node.error,
      });
    }
    nodes.push(node.value);
  }
  return nodes;
}

/** Where join files are written, and the cluster that they are for. */
export interface JoinFilesDeps {
  readonly folder: string;
  readonly target: JoinTarget;
  readonly api: ApiClient;
  readonly files: Pick<FilePort, "lstat" | "makeDirectory" | "createExclusive">;
  readonly io: Io;
}

/**
 * Creates the token of each machine and writes its file, and prints the path. AppError `file_exists` before the first
 * token when one of the files exists. A token whose file cannot be written is deleted again.
 */
export async function writeJoinFiles(
  machines: readonly JoiningMachine[],
  { folder, target, api, files, io }: JoinFilesDeps,
  signal: AbortSignal,
): Promise<void> {
  const placed = machines.map((machine) => ({ ...machine, path: join(folder, `${machine.node}.kubeconfig`) }));
  for (const { path, node } of placed) {
    if (await files.lstat(path) === undefined) continue;
    throw new AppError("file_exists", `cannot write the join file "${path}": it exists`, {
      hint: `remove it when ${node} no longer needs it, or choose another folder with --out`,
    });
  }
  await files.makeDirectory(folder, FOLDER_MODE);
  for (const { node, created, path } of placed) {
    const expiration = findExpiration(created.settings, io.clock.now());
    await postToken(api, created, io, signal);
    const text = formatJoinFile({
      node,
      target,
      token: created.token,
      fileName: `${node}.kubeconfig`,
      ...(expiration === undefined ? {} : { expiration }),
    });
    try {
      await files.createExclusive(path, text, SECRET_MODE);
    } catch (error) {
      await withdrawToken(api, created.token, signal);
      throw error;
    }
    io.stdout.write(line`${displayPath(path, io.cwd)}\n`);
  }
}
