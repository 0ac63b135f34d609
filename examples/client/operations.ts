/** The operations that the example uses. `npm run generate` makes their types. */
import { graphql } from './gql/gql.js';

export const StartArchive = graphql(`
  mutation StartArchive($input: StartArchiveInput!) {
    startArchive(input: $input) {
      __typename
      ... on StartArchivePayload {
        accessToken
        sequence
        archive {
          id
          status
          resolution
        }
      }
      ... on Error {
        code
        message
      }
    }
  }
`);

export const StopArchive = graphql(`
  mutation StopArchive($input: StopArchiveInput!) {
    stopArchive(input: $input) {
      __typename
      ... on StopArchivePayload {
        sequence
        archive {
          id
          status
        }
      }
      ... on Error {
        code
        message
      }
    }
  }
`);

export const BeginArchive = graphql(`
  mutation BeginArchive($input: BeginArchiveInput!) {
    beginArchive(input: $input) {
      __typename
      ... on BeginArchivePayload {
        sequence
        archive {
          id
          status
        }
      }
      ... on Error {
        code
        message
      }
    }
  }
`);

export const PauseJob = graphql(`
  mutation PauseJob($input: PauseJobInput!) {
    pauseJob(input: $input) {
      __typename
      ... on PauseJobPayload {
        sequence
        job {
          id
          state
        }
      }
      ... on Error {
        code
        message
      }
    }
  }
`);

export const ResumeJob = graphql(`
  mutation ResumeJob($input: ResumeJobInput!) {
    resumeJob(input: $input) {
      __typename
      ... on ResumeJobPayload {
        sequence
        job {
          id
          state
        }
      }
      ... on Error {
        code
        message
      }
    }
  }
`);

export const CancelJob = graphql(`
  mutation CancelJob($input: CancelJobInput!) {
    cancelJob(input: $input) {
      __typename
      ... on CancelJobPayload {
        sequence
        job {
          id
          state
        }
      }
      ... on Error {
        code
        message
      }
    }
  }
`);

export const Archive = graphql(`
  query Archive($id: ID!) {
    archive(id: $id) {
      id
      name
      url
      status
      state
      reason
      message
      resolution
      startedAt
      progress
      duration
      lostDuration
      gaps {
        from
        to
        lost
        cause
      }
      size
      sha256sum
      downloadUrl
      thumbnailUrl
    }
  }
`);

export const JobEvents = graphql(`
  subscription JobEvents($jobId: ID!, $after: Cursor) {
    jobEvents(jobId: $jobId, after: $after) {
      __typename
      cursor
      sequence
      occurredAt
      job {
        state
        reason
        message
        progress
        failure {
          actor
          code
          message
        }
      }
      ... on JobStateChanged {
        state
        reason
        message
      }
      ... on JobPartStarted {
        number
      }
      ... on JobPartEnded {
        number
        duration
        cause
      }
      ... on JobWarningRaised {
        warning
        detail
      }
      ... on JobWarningCleared {
        warning
      }
      ... on JobFileAdded {
        fileId
        name
      }
      ... on StreamLagged {
        dropped
      }
    }
  }
`);

export const ProjectEvents = graphql(`
  subscription ProjectEvents($filter: EventsFilter, $after: Cursor) {
    events(filter: $filter, after: $after) {
      __typename
      cursor
      sequence
      occurredAt
      ... on JobEvent {
        job {
          id
          state
          progress
        }
      }
      ... on JobStateChanged {
        state
        reason
      }
    }
  }
`);

export const JobStats = graphql(`
  subscription JobStats($jobId: ID!) {
    jobStats(jobId: $jobId) {
      frames
      fps
      bitrate
      size
      position
      speed
      dropped
      progress
      updatedAt
    }
  }
`);

export const EnsureRoom = graphql(`
  mutation EnsureRoom($input: EnsureRoomInput!) {
    ensureRoom(input: $input) {
      __typename
      ... on EnsureRoomPayload {
        sessionId
        token
        apiKey
        room {
          id
          name
        }
      }
      ... on Error {
        code
        message
      }
    }
  }
`);

export const CreateRoomToken = graphql(`
  mutation CreateRoomToken($input: CreateRoomTokenInput!) {
    createRoomToken(input: $input) {
      __typename
      ... on CreateRoomTokenPayload {
        token
      }
      ... on Error {
        code
        message
      }
    }
  }
`);
