import "./styles.css";
import { QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { router, watchSession } from "./app/router";
import { Toasts } from "./app/toasts";
import { TooltipProvider } from "./components/ui/tooltip";
import { startPrefs } from "./lib/prefs";
import { queryClient } from "./lib/queries";

startPrefs();
watchSession();

const element = document.getElementById("root");
if (!element) throw new Error("index.html has no #root");
createRoot(element).render(
  <StrictMode>
    <QueryClientProvider client={queryClient}>
      <TooltipProvider delayDuration={250}>
        <RouterProvider router={router} />
        <Toasts />
      </TooltipProvider>
    </QueryClientProvider>
  </StrictMode>,
);
