/** The node name of this machine, from the flag `--hostname-override` or from the system. */
import { hostname } from "node:os";
import { type NodeName, parseNodeName } from "../core/machine/node_name.ts";
import { UsageError } from "./framework/usage_error.ts";

/** Returns the given name, or else that of the system, as kubelet does. UsageError for a name that no node can have. */
export function resolveNodeName(given: string | undefined): NodeName {
  const name = parseNodeName(given ?? hostname());
  if (name.ok) return name.value;
  throw new UsageError(
    name.error,
    given === undefined
      ? "give the node's name with --hostname-override"
      : "use the letters a to z without accents, digits, - and . only, such as buero-1",
  );
}
