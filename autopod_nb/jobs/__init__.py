"""From a person's words to a job, and the steps of a job on a pod."""
