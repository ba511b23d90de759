mod fake;
mod portal_jobs;
mod portal_submit;
