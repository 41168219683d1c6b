import { toast } from "sonner";
import type { Period } from "./api";
import { columnsText } from "./columns";

/** A link that shows anybody the same tomorrow: "the last hour" becomes from and to, and the columns are named. */
export async function copyLink({ from, to }: Period, columns: readonly string[]): Promise<void> {
  const url = new URL(location.href);
  url.searchParams.delete("range");
  url.searchParams.set("from", from);
  url.searchParams.set("to", to);
  url.searchParams.set("columns", columnsText(columns));
  await navigator.clipboard?.writeText(url.href).then(
    () => toast.success("The link is in the clipboard", { description: "It names the period by its times, so that it shows the same events later." }),
    () => toast.error("The clipboard is not open to this page", { description: url.href }),
  );
}
