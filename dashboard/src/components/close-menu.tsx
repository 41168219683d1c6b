import { Button } from "@/components/ui/button";
import { Menu, MenuItem, MenuLabel } from "@/components/ui/menu";
import { Archive, ChevronDown } from "lucide-react";

const REASONS = ["True positive, handled", "False positive", "Expected activity", "Duplicate"] as const;

export function CloseMenu({ onClose, size = "md" }: { onClose: (reason?: string) => void; size?: "sm" | "md" }) {
  return (
    <span className="inline-flex">
      <Button size={size} className="rounded-r-none" onClick={() => onClose()}>
        <Archive /> Close
      </Button>
      <Menu
        trigger={
          <Button size={size} className="-ml-px rounded-l-none px-1.5" aria-label="Close with a reason">
            <ChevronDown />
          </Button>
        }
      >
        <MenuLabel>Close because</MenuLabel>
        {REASONS.map((reason) => (
          <MenuItem key={reason} onSelect={() => onClose(reason)}>
            {reason}
          </MenuItem>
        ))}
      </Menu>
    </span>
  );
}
