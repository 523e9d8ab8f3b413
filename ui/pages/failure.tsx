/** The pages that stand for one that cannot be shown. */
import type { UiElement } from "../page.ts";

/** Says what a visitor without a session can do. */
export function LoginHelp({ text }: { readonly text: string }): UiElement {
  return (
    <>
      <p class="lead">{text}</p>
      <p>
        Run <code>tlsboot ui</code> and open the link that it prints. A link is good once and for a quarter of an hour.
      </p>
    </>
  );
}

/** Says what has failed, and the next step. */
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

/** Says that there is no page at an address. */
export function NotFoundBody(): UiElement {
  return (
    <p>
      There is nothing at this address. <a href="/">Back to the first page</a>
    </p>
  );
}
