import { cn } from "@/lib/cn";
import { Search } from "lucide-react";
import { useEffect, useState, type RefObject } from "react";
import { Input } from "./input";

const TYPING_MS = 250;

interface SearchBoxProps {
  value: string;
  onChange: (value: string) => void;
  inputRef: RefObject<HTMLInputElement | null>;
  label: string;
  placeholder: string;
  testId: string;
  className?: string;
}

/** A search that is sent when the typing stops, and that follows the address when it changes from elsewhere. */
export function SearchBox({ value, onChange, inputRef, label, placeholder, testId, className }: SearchBoxProps) {
  const [text, setText] = useState(value);
  const [shown, setShown] = useState(value);
  if (shown !== value) {
    setShown(value);
    setText(value);
  }
  useEffect(() => {
    if (text === value) return;
    const timer = setTimeout(() => onChange(text), TYPING_MS);
    return () => clearTimeout(timer);
    // Only what is typed starts the wait; a new `onChange` with every drawing must not restart it.
    // oxlint-disable-next-line react-hooks/exhaustive-deps
  }, [text]);
  return (
    <div className={cn("relative min-w-28 max-w-80 flex-1", className)}>
      <Search className="pointer-events-none absolute top-2 left-2.5 size-4 text-text3" />
      <Input ref={inputRef} value={text} onChange={(event) => setText(event.target.value)} onKeyDown={(event) => event.key === "Escape" && inputRef.current?.blur()} aria-label={label} placeholder={placeholder} className="pl-8" data-testid={testId} />
    </div>
  );
}
