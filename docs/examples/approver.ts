/** An approver with a rule of its own: requests whose name begins with "web-" are approved, others stay pending. */
import { type ApiAccess, createSystemPorts, DONE, getCsrPhase, runController, withApproval } from "@tlsboot/tlsboot";

/** Runs the approver until the signal aborts. */
export async function runApprover({ csrs }: ApiAccess, signal: AbortSignal): Promise<void> {
  await runController({
    ...createSystemPorts(),
    name: "example-approver",
    store: csrs,
    async reconcile(name, csr) {
      if (csr === undefined || !name.startsWith("web-") || getCsrPhase(csr).kind !== "pending") return DONE;
      const approved = withApproval(csr, { reason: "ExampleRule", message: "The name begins with web-." });
      if (approved.ok) await csrs.update(approved.value, signal, "approval");
      return DONE;
    },
  }, signal);
}
