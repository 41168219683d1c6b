import { ExceptionsPage } from "@/features/exceptions/page";

export const ExceptionsRoute = ExceptionsPage;
