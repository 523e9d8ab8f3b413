/** The pages that replace one that cannot be shown. */
import type { UiElement } from "../page.ts";

/** Explains how a browser without a session gets one. */
export function LoginHelp({ text }: { readonly text: string }): UiElement {
  return (
    <>
      <p class="lead">{text}</p>
      <p>
        Run <code>tlsboot ui</code> and open the link that it prints. A link works once, within a quarter of an hour.
      </p>
    </>
  );
}

/** Shows what has failed, and the next step. */
export function FailedBody(
  { message, hint }: { readonly message: string; readonly hint: string | undefined },
): UiElement {
  return (
    <div id="failure" data-swap>
      <p class="notice fault" role="alert">{message}</p>
      {hint === undefined ? "" : <p>{`Next: ${hint}`}</p>}
      <p>
        <a href="/">Back to the first page</a>
      </p>
    </div>
  );
}

/** Reports that there is no page at an address. */
export function NotFoundBody(): UiElement {
  return (
    <p>
      There is nothing at this address. <a href="/">Back to the first page</a>
    </p>
  );
}
