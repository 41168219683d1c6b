import { shownTheme } from "@/lib/prefs";
import { useStore } from "@/lib/store";
import { Toaster } from "sonner";

export function Toasts() {
  return (
    <Toaster
      theme={useStore(shownTheme)}
      position="bottom-right"
      toastOptions={{ style: { background: "var(--raised)", color: "var(--text)", border: "1px solid var(--line-2)", fontFamily: "var(--font-sans)", fontSize: "13px" }, actionButtonStyle: { background: "var(--accent)", color: "var(--bg)", fontWeight: 600 } }}
    />
  );
}
